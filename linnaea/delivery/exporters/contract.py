"""The contract of an exporter, and the parity check that every export must pass."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.classifier import Classifier
from linnaea.classifier.scorers.contract import Scorer
from linnaea.data.images.pixels import Decoded, decode_files
from linnaea.decisions import Outputs, by_common_threshold, decide
from linnaea.errors import CheckFailedError, DataError, UsageError
from linnaea.finding import Estimate, Finding
from linnaea.registry import Registry
from linnaea.runtime.containers import Located
from linnaea.runtime.files import write_json
from linnaea.runtime.neutral import neutral

logger = logging.getLogger("linnaea")
Answer = Callable[[Path | bytes], tuple[npt.NDArray[np.float32], float]]
PARITY_IMAGES = 64
TOLERANCE = 1e-3
PARITY = "parity.json"


@dataclass(frozen=True)
class Exporter:
    """`write(classifier, folder)` writes the files and returns the main one; `open(file)` an independent answerer.

    An answerer maps an image file, or its bytes, to probabilities (K,) and an OOD score, by the decoding and the
    runtime that will be used where the file goes, not by Linnaea's. `scorer(classifier, file)` is the file as a scorer,
    with which its folder is a classifier again.
    """

    write: Callable[[Classifier, Path], Path]
    open: Callable[[Path], Answer]
    scorer: Callable[[Classifier, Path], Scorer]


EXPORTERS: Registry[Exporter] = Registry(
    "export format",
    "linnaea.delivery.exporters",
    title="Exporters",
    use="Chosen with `linnaea export --to`.",
)


@dataclass(frozen=True)
class Exported:
    """An export that passed its check: the main file, the size of its folder in 10^6 bytes, and the parity finding."""

    file: Path
    megabytes: float
    parity: Finding

    @property
    def folder(self) -> Path:
        """The folder with all that is needed; a classifier, as `linnaea.load` takes it."""
        return self.file.parent

    def __str__(self) -> str:
        return f"{self.file} ({self.megabytes:.1f} MB with its folder)\n{neutral(self.parity.summary)}"


def export(classifier: Classifier, to: str, folder: Path, images: Sequence[Located]) -> Exported:
    """Write the classifier for another runtime and compare both on real images, from file to probabilities.

    `to` is a name in `EXPORTERS`; `images` are files to compare on, of which at most 64 are used. The folder becomes a
    classifier again, and holds what the comparison found, also where it failed, as `parity.json`. Raises
    CheckFailedError when a probability differs by more than 0.001 or an answer changes, and removes nothing, so that
    the file can be looked at; UsageError for a classifier that is such a file already. The file's own script is given
    no groups: where the policy has thresholds for them, that is warned of.
    """
    exporter = EXPORTERS[to]
    if not classifier.scorer.exportable:
        raise UsageError(
            f"a classifier of the kind {classifier.scorer.kind} cannot be exported: give the run it came from."
        )
    chosen = images[:: max(1, math.ceil(len(images) / PARITY_IMAGES))]
    decoded = decode_files(chosen, classifier.recipe)
    if len(decoded.failed) == len(chosen):
        raise DataError("none of the images for the parity check can be read: put the run's photos back in place.")
    file = exporter.write(classifier, folder)
    classifier.with_(scorer=exporter.scorer(classifier, file), calibrator=None, familiarity=None).save(folder)
    parity = compare_with_file(classifier, to, file, chosen, decoded)
    write_json(folder / PARITY, parity.to_json())
    if parity.severity == "error":
        raise CheckFailedError(f"{file} was written, but {parity.summary}")
    if parity.severity == "warning":
        logger.warning(_without_groups(classifier))
    return Exported(file, sum(each.stat().st_size for each in folder.rglob("*") if each.is_file()) / 1e6, parity)


def compare_with_file(
    classifier: Classifier, to: str, file: Path, images: Sequence[Located], decoded: Decoded | None = None
) -> Finding:
    """The finding `export_parity_<to>`: how far an exported file and the classifier differ on these images.

    `decoded` are the images as the classifier decodes them, where that is done. An error where they differ by more than
    is tolerated.
    """
    decoded = decode_files(images, classifier.recipe) if decoded is None else decoded
    readable = [row for row in range(len(images)) if row not in decoded.failed]
    answer = EXPORTERS[to].open(file)
    given = (images[row] for row in readable)
    theirs = [answer(image if isinstance(image, Path) else image.read_bytes()) for image in given]
    ours = classifier.score(decoded.images[readable])
    return _parity(to, classifier, ours, theirs, [str(images[row]) for row in readable])


def _parity(
    to: str,
    classifier: Classifier,
    ours: Outputs,
    theirs: Sequence[tuple[npt.NDArray[np.float32], float]],
    names: Sequence[str],
) -> Finding:
    exported = np.stack([probabilities for probabilities, _ in theirs])
    gaps = np.abs(exported - ours.probabilities).max(axis=1)
    scores = np.zeros(len(gaps)) if ours.ood_scores is None else ours.ood_scores
    score_gaps = np.abs(np.array([score for _, score in theirs]) - scores) / np.maximum(np.abs(scores), 1)
    values = (ours.probabilities, exported)
    both = (decide(classifier.task, classifier.classes, each, classifier.policy) for each in values)
    changed = sum(one != other for one, other in zip(*(decided.labels for decided in both), strict=True))
    worst = float(np.maximum(gaps, score_gaps).max())  # NaN if any is
    failed = not worst <= TOLERANCE or changed > 0
    rows: list[dict[str, Any]] = [
        {"image": name, "probability_gap": _told(gap), "ood_score_gap": _told(score_gap)}
        for name, gap, score_gap in zip(names, gaps, score_gaps, strict=True)
    ]
    warned = _without_groups(classifier)
    return Finding(
        f"export_parity_{to}",
        f"the {to} file and the classifier differ by at most {worst:.2e} on {len(names)} images from file to "
        f"probabilities, where {TOLERANCE} is tolerated; {changed} answers differ.{warned and ' ' + warned}",
        severity="error" if failed else "warning" if warned else "info",
        count=len(names),
        figure=Estimate(_told(worst), None, None, len(names), "largest absolute difference"),
        rows=rows,
    )


def _without_groups(classifier: Classifier) -> str:
    """What a file that is given no groups does otherwise than the classifier, as sentences; nothing without groups."""
    said = by_common_threshold(classifier.policy)
    if not said:
        return ""
    return (
        f"{said[0].upper()}{said[1:]}. The exported script is given no groups and decides all images so, and answers "
        "otherwise than the classifier does of a known group; the comparison was made by the common threshold."
    )


def _told(gap: float) -> float | None:
    """A gap as JSON has it, which knows nothing that is not a number."""
    return float(gap) if math.isfinite(gap) else None
