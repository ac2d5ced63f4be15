"""From a bundle back to the classifier."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linnaea.classifier.bundle import Bundle, read_bundle
from linnaea.classifier.classifier import Classifier
from linnaea.classifier.made_here import holds_a_library, is_made_here
from linnaea.classifier.schema import require_schema
from linnaea.classifier.scorers import SCORERS
from linnaea.classifier.sign_off import warn_of_void
from linnaea.classifier.signature import Trust, trusted_keys, warn_of_void_signature
from linnaea.data.images.pixels import Recipe
from linnaea.decisions import Policy
from linnaea.errors import BundleError, LinnaeaError
from linnaea.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

PARTS = ("scorer", "calibrator", "familiarity")


def load(folder: str | Path, *, trust: Trust = None) -> Classifier:
    """Load a classifier from its bundle, the run folder around it, or a folder that `export` wrote.

    `trust` are files of public keys, of which one must have signed every file of the bundle; None: those that the
    environment variable LINNAEA_TRUST names, if any. Raises BundleError when a file is missing or differs from what was
    saved, when what it says is not a classifier's, when its parts do not fit each other, and when it is not signed as
    asked. Nothing in a bundle is executed but what is made of machine code, such as torch's packages, and that is
    refused unless a trusted key has signed it or it was written on this machine. Warns where the record of a check, or
    a signature, lies beside it that was made of another bundle.
    """
    keys = trusted_keys(trust)
    bundle = read_bundle(Path(folder), keys)
    require_schema(bundle.description, bundle.file)
    if not keys:
        _require_no_foreign_code(bundle)
    try:
        classifier = _built(bundle.description, bundle.tensors, bundle.file.parent)
        _try(classifier)
    except LinnaeaError as error:
        raise BundleError(f"{bundle.file}: {error} Take the original bundle.") from error
    warn_of_void(bundle.file.parent)
    warn_of_void_signature(bundle.content)
    return classifier


def _require_no_foreign_code(bundle: Bundle) -> None:
    """Raise BundleError for machine code that nobody signed and that was not made here."""
    kind = bundle.description["scorer"]["kind"]
    code = (kind in SCORERS and SCORERS[kind].machine_code) or holds_a_library(bundle.content)
    if code and not is_made_here(bundle.content):
        raise BundleError(
            f"{bundle.content.folder} holds machine code ({SCORERS.about(kind).title}) that was not made here and may "
            "do anything to this machine: load it with the signature of a key that you trust (--trust, LINNAEA_TRUST), "
            "or export the run here."
        )


def _built(content: Mapping[str, Any], tensors: "Mapping[str, Tensor]", folder: Path) -> Classifier:
    """The classifier of a description that is of the schema; raises LinnaeaError where the parts do not fit."""
    there = [name for name in PARTS if content[name] is not None]
    strange = [name for name in tensors if name.partition("/")[0] not in there]
    if strange:
        raise BundleError(f"the weights hold {strange[0]}, which the description does not mention.")
    described = content["scorer"]
    scorer = SCORERS[described["kind"]].build(described["arguments"], tensors, folder)
    shift = content["class_shares"]["shift"]
    return Classifier(
        scorer=scorer,
        classes=tuple(content["classes"]),
        task=content["task"],
        recipe=Recipe(**content["recipe"]),
        calibrator=_part("calibrator", content, tensors),
        prior=tuple(content["class_shares"]["prior"]),
        prior_shift=tuple(shift) if any(shift) else (),
        familiarity=_part("familiarity", content, tensors),
        policy=Policy.from_json(content["policy"]),
        provenance=content["provenance"],
    )


def _part(name: str, content: Mapping[str, Any], tensors: "Mapping[str, Tensor]") -> Any:
    """The calibrator or the familiarity score, filled; None where there is none."""
    if content[name] is None:
        return None
    from linnaea.classifier.calibrators import CALIBRATORS
    from linnaea.models.familiarity import FAMILIARITIES
    from linnaea.models.part import build_part, fill

    registries: dict[str, Registry[Any]] = {"calibrator": CALIBRATORS, "familiarity": FAMILIARITIES}
    part: Any = build_part(registries[name], content[name])
    fill(part, name, tensors)
    return part.eval()


def _try(classifier: Classifier) -> None:
    """Raise BundleError unless the parts fit each other: of a grey image the answer is made of the right numbers."""
    count = len(classifier.classes)
    grey = np.full((1, *classifier.recipe.shape), 128, dtype=np.uint8)
    try:
        outputs = classifier.score(grey)
    except (RuntimeError, IndexError, ValueError) as error:
        raise BundleError(f"model, calibrator and familiarity do not match ({error}).") from None
    if outputs.logits.shape != (1, count) or (outputs.ood_scores is not None and outputs.ood_scores.shape != (1,)):
        raise BundleError(f"the model gives logits of shape {outputs.logits.shape[1:]} for {count} classes.")
    if not outputs.defined.all():
        raise BundleError("the classifier's output for a grey image is not a number.")
