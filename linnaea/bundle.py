"""The bundle: a classifier on disk, in JSON and safetensors, that is refused when a byte of it has changed."""

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from linnaea.classifier import Classifier, Policy
from linnaea.data.pixels import Recipe
from linnaea.errors import BundleError, RunError
from linnaea.models import build
from linnaea.models.familiarity import Familiarity
from linnaea.runtime.files import read_json, sha256_of, write_atomically, write_json

FORMAT = "linnaea classifier 1"
DESCRIPTION, WEIGHTS = "classifier.json", "weights.safetensors"


def save(classifier: Classifier, folder: Path) -> Path:
    """Write `classifier.json` and `weights.safetensors`, each with its SHA-256 in the former."""
    tensors = {f"model/{name}": value for name, value in classifier.model.state_dict().items()}
    if classifier.familiarity is not None:
        tensors |= {f"familiarity/{name}": value for name, value in classifier.familiarity.state_dict().items()}
    whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    weights = write_atomically(folder / WEIGHTS, lambda partial: save_file(whole, partial))
    content = {"format": FORMAT, **classifier.describe(), "files": {WEIGHTS: sha256_of(weights)}}
    write_json(folder / DESCRIPTION, content | {"sha256": _digest(content)})
    return folder


def load(folder: str | Path) -> Classifier:
    """Load a classifier from its bundle, or from the run folder around it.

    Raises BundleError when a file is missing or differs from what was saved. Nothing in a bundle is executed.
    """
    root = Path(folder)
    if not (root / DESCRIPTION).exists() and (root / "model" / DESCRIPTION).exists():
        root = root / "model"
    content = _description(root)
    weights = root / WEIGHTS
    if not weights.exists():
        raise BundleError(f"{weights} is missing: the bundle is incomplete; copy it whole or train again.")
    if sha256_of(weights) != content["files"][WEIGHTS]:
        raise BundleError(f"{weights} has changed since it was saved (its SHA-256 differs): take the original bundle.")
    return _assemble(content, load_file(weights))


def _description(root: Path) -> dict[str, Any]:
    try:
        content = read_json(root / DESCRIPTION)
    except RunError as error:
        raise BundleError(f"{root} holds no classifier that can be read: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BundleError(f"{root / DESCRIPTION} is not of the format {FORMAT!r}: load it with the version it is from.")
    if content.pop("sha256", None) != _digest(content):
        raise BundleError(f"{root / DESCRIPTION} has changed since it was saved: take the original bundle.")
    return content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _assemble(content: dict[str, Any], tensors: dict[str, Tensor]) -> Classifier:
    def below(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    classes = tuple(content["classes"])
    model = build(content["model"]["kind"], content["model"]["arguments"])
    model.load_state_dict(below("model/"))
    familiarity = None
    if content["familiarity"] is not None:
        rank, length = content["familiarity"]
        familiarity = Familiarity(len(classes), length, rank)
        familiarity.load_state_dict(below("familiarity/"))
    return Classifier(
        model=model.eval(),
        classes=classes,
        task=content["task"],
        recipe=Recipe(**content["recipe"]),
        temperature=content["calibration"]["temperature"],
        familiarity=familiarity,
        policy=Policy(**content["policy"]),
        provenance=content["provenance"],
    )
