"""The contract of an exporter, and the parity check that every export must pass."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.classifier import Classifier
from linnaea.data.images.pixels import decode_files
from linnaea.decisions import decide
from linnaea.errors import CheckFailedError, DataError
from linnaea.finding import Estimate, Finding
from linnaea.registry import Registry
from linnaea.runtime.containers import Located
from linnaea.runtime.neutral import neutral

Answer = Callable[[Path | bytes], tuple[npt.NDArray[np.float32], float]]
PARITY_IMAGES = 64
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Exporter:
    """`write(classifier, folder)` writes the files and returns the main one; `open(file)` an independent answerer.

    An answerer maps an image file, or its bytes, to probabilities (K,) and an OOD score, by the decoding and the
    runtime that will be used where the file goes, not by Linnaea's.
    """

    write: Callable[[Classifier, Path], Path]
    open: Callable[[Path], Answer]


EXPORTERS: Registry[Exporter] = Registry("export format")


@dataclass(frozen=True)
class Exported:
    """An export that passed its check: the file, its size in 10^6 bytes, and the parity finding."""

    file: Path
    megabytes: float
    parity: Finding

    def __str__(self) -> str:
        return f"{self.file} ({self.megabytes:.1f} MB)\n{neutral(self.parity.summary)}"


def export(classifier: Classifier, to: str, folder: Path, images: Sequence[Located]) -> Exported:
    """Write the classifier for another runtime and compare both on real images, from file to probabilities.

    `to` is a name in `EXPORTERS`; `images` are files to compare on, of which at most 64 are used. Raises
    CheckFailedError when a probability differs by more than 0.001 or an answer changes, and removes nothing, so that
    the file can be looked at.
    """
    exporter = EXPORTERS[to]
    chosen = images[:: max(1, math.ceil(len(images) / PARITY_IMAGES))]
    decoded = decode_files(chosen, classifier.recipe)
    readable = [row for row in range(len(chosen)) if row not in decoded.failed]
    if not readable:
        raise DataError("none of the images for the parity check can be read: put the run's photos back in place.")
    file = exporter.write(classifier, folder)
    answer = exporter.open(file)
    given = (chosen[row] for row in readable)
    theirs = [answer(image if isinstance(image, Path) else image.read_bytes()) for image in given]
    _, ours, scores = classifier.score(decoded.images[readable])
    parity = _parity(to, classifier, ours, scores, theirs, [str(chosen[row]) for row in readable])
    if parity.severity == "error":
        raise CheckFailedError(f"{file} was written, but {parity.summary}")
    return Exported(file, file.stat().st_size / 1e6, parity)


def _parity(
    to: str,
    classifier: Classifier,
    ours: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    theirs: Sequence[tuple[npt.NDArray[np.float32], float]],
    names: Sequence[str],
) -> Finding:
    exported = np.stack([probabilities for probabilities, _ in theirs])
    gaps = np.abs(exported - ours).max(axis=1)
    score_gaps = np.abs(np.array([score for _, score in theirs]) - scores) / np.maximum(np.abs(scores), 1)
    both = (decide(classifier.task, classifier.classes, values, classifier.policy) for values in (ours, exported))
    changed = sum(one != other for one, other in zip(*(decided.labels for decided in both), strict=True))
    worst = float(np.maximum(gaps, score_gaps).max())  # NaN if any is
    failed = not worst <= TOLERANCE or changed > 0
    rows: list[dict[str, Any]] = [
        {"image": name, "probability_gap": float(gap), "ood_score_gap": float(score_gap)}
        for name, gap, score_gap in zip(names, gaps, score_gaps, strict=True)
    ]
    return Finding(
        "export_parity",
        f"the {to} file and the classifier differ by at most {worst:.2e} on {len(names)} images from file to "
        f"probabilities, where {TOLERANCE} is tolerated; {changed} answers differ.",
        severity="error" if failed else "info",
        count=len(names),
        figure=Estimate(worst, None, None, len(names), "largest absolute difference"),
        rows=rows,
    )
