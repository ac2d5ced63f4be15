"""The parity check: an exported folder and its classifier on the same files, from their bytes to the answer."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linnaea.arrays import Floats
from linnaea.classifier import Classifier
from linnaea.data.images.opening import UnreadableError
from linnaea.data.images.pixels import Decoded, decode_files
from linnaea.decisions import Outputs, answer, by_common_threshold
from linnaea.delivery.exporters.precisions import PLAIN, Precision
from linnaea.errors import DataError
from linnaea.finding import Estimate, Finding
from linnaea.runtime.containers import Located

PARITY_IMAGES = 500
SHOWN = 3  # images that differ, in a sentence
PARITY = "parity.json"
LONGEST = 300  # letters of an error


@dataclass(frozen=True)
class Sample:
    """Images that a comparison is made on: files that can be read, their pixels, of how many files they were chosen."""

    images: Sequence[Located]
    decoded: Decoded
    chosen_from: int

    @property
    def names(self) -> list[str]:
        """Of the files."""
        return [str(image) for image in self.images]


def sample_of(classifier: Classifier, images: Sequence[Located], most: int = PARITY_IMAGES) -> Sample:
    """Up to `most` of the files, evenly chosen, without those that cannot be read; DataError where none can."""
    rows = np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int).tolist() if images else []
    chosen = [images[row] for row in rows]
    decoded = decode_files(chosen, classifier.recipe)
    readable = [image for row, image in enumerate(chosen) if row not in decoded.failed]
    if not readable:
        raise DataError("none of the images for the parity check can be read: put the run's photos back in place.")
    return Sample(readable, decoded.kept(), len(images))


def name_of(to: str, precision: str) -> str:
    """The name of the finding about a format."""
    return f"export_parity_{to}" if precision == PLAIN else f"export_parity_{to}_{precision}"


def not_run_here(to: str, precision: str, why: str) -> Finding:
    """The finding of a format that cannot be run on this machine, which is never that it passed."""
    return Finding(name_of(to, precision), f"the {said(to, precision)} was not run here: {why}", "warning")


def compared(
    to: str, precision: Precision, classifier: Classifier, sample: Sample, exported: Callable[[Path | bytes], Outputs]
) -> Finding:
    """The finding `export_parity_<to>`: how far what answers for files and the classifier differ on these images.

    An error where they differ by more than is tolerated, or in more labels.
    """
    theirs = [_answered(exported, image) for image in sample.images]
    return _told(to, precision, classifier, sample, classifier.score(sample.decoded.images), theirs)


def said(to: str, precision: str) -> str:
    """What is compared, in words."""
    return f"{to} file" if precision == PLAIN else f"{to} file in {precision}"


def without_groups(classifier: Classifier) -> str:
    """What a file that is given no groups does otherwise than the classifier, as sentences; nothing without groups."""
    told = by_common_threshold(classifier.policy)
    if not told:
        return ""
    return (
        f"{told[0].upper()}{told[1:]}. The exported script is given no groups and decides all images so, and answers "
        "otherwise than the classifier does of a known group; the comparison was made by the common threshold."
    )


def _answered(exported: Callable[[Path | bytes], Outputs], image: Located) -> Outputs | str:
    """What is said of one file, or why there is nothing."""
    try:
        return exported(image if isinstance(image, Path) else image.read_bytes())
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  every runtime has errors of its own
        if isinstance(error, UnreadableError) or type(error).__name__ == UnreadableError.__name__:  # of the copied file
            return f"unreadable: {error}"
        return f"no answer: {in_a_line(error)}"


def in_a_line(error: Exception) -> str:
    """What an error says, in one line that is not too long."""
    told = " ".join(str(error).split()) or type(error).__name__
    return told if len(told) <= LONGEST else f"{told[:LONGEST]}..."


def _told(
    to: str,
    precision: Precision,
    classifier: Classifier,
    sample: Sample,
    ours: Outputs,
    theirs: Sequence[Outputs | str],
) -> Finding:
    rows = [_row(classifier, _at(ours, row), their) for row, their in enumerate(theirs)]
    count, changed = len(rows), sum(row["differs"] for row in rows)
    worst = max(max(_size(row["gaps"][0]), _size(row["gaps"][2])) for row in rows)
    strangest = max(_size(row["gaps"][1]) for row in rows)
    near = worst <= precision.tolerance and strangest <= precision.of_scores
    failed = not near or count - changed < precision.same * count
    warned = without_groups(classifier)
    named = sample.names
    table: list[dict[str, Any]] = [
        {
            "image": name,
            "probability_gap": _finite(row["gaps"][0]),
            "ood_score_gap": _finite(row["gaps"][1]),
            **{key: row[key] for key in ("label", "exported_label", "other") if row["differs"] or row["other"]},
        }
        for name, row in zip(named, rows, strict=True)
    ]
    why = next((f"Of the first without one it says: {their}" for their in theirs if isinstance(their, str)), "")
    differing = [name for name, row in zip(named, rows, strict=True) if row["differs"]]
    return Finding(
        name_of(to, precision.name),
        " ".join(
            filter(
                None,
                [_sentence(to, precision, sample, (worst, strangest), changed, rows), _those(differing), why, warned],
            )
        ),
        severity="error" if failed else "warning" if warned else "info",
        count=count,
        figure=Estimate(_finite(worst), None, None, count, "largest absolute difference"),
        rows=table,
        images=differing,
    )


def _sentence(
    to: str,
    precision: Precision,
    sample: Sample,
    worst: tuple[float, float],
    changed: int,
    rows: Sequence[dict[str, Any]],
) -> str:
    count = len(rows)
    of = f" (evenly chosen from {sample.chosen_from:,})" if sample.chosen_from > count else ""
    asked = f", where {100 * precision.same:g} % must stay" if precision.same < 1 else ""
    others = sum(bool(row["other"]) and not row["differs"] for row in rows)
    lies = f" Of {others} more the reason or the set differs, which lie at a threshold." if others else ""
    gap, of_scores = ("nan" if math.isinf(each) else f"{each:.2e}" for each in worst)
    scores = (
        f", and in OOD scores by {of_scores}, where {precision.of_scores:g} is"
        if worst[1] > precision.tolerance
        else ""
    )
    near = f"at most {gap} on {count} images{of} from file to probabilities, where {precision.tolerance:g} is tolerated"
    return (
        f"the {said(to, precision.name)} and the classifier differ by {near}{scores}; {changed} answers differ{asked}."
        f"{lies}"
    )


def _those(names: Sequence[str]) -> str:
    """The first of the images that differ."""
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"Different: {', '.join(names[:SHOWN])}{more}."


def _row(classifier: Classifier, ours: Outputs, theirs: Outputs | str) -> dict[str, Any]:
    """How one image is answered by both: the gaps of probabilities, OOD score and uncertainty, and what differs."""
    own, (why,) = answer(classifier.task, classifier.classes, ours, classifier.policy)
    if isinstance(theirs, str):
        facts = {"label": own.labels[0], "exported_label": None, "other": theirs}
        return facts | {"gaps": (math.nan, math.nan, math.nan), "differs": True}
    other, (reason,) = answer(classifier.task, classifier.classes, theirs, classifier.policy)
    told = [f"reason {reason} for {why}"] if reason != why else []
    told += ["another prediction set"] if _as_set(other.sets[0]) != _as_set(own.sets[0]) else []
    return {
        "label": own.labels[0],
        "exported_label": other.labels[0],
        "other": ", ".join(told),
        "gaps": (
            _gap(ours.probabilities, theirs.probabilities),
            _gap(ours.ood_scores, theirs.ood_scores, relative=True),
            _gap(ours.uncertainty, theirs.uncertainty),
        ),
        "differs": other.labels[0] != own.labels[0],
    }


def _gap(ours: Floats | None, theirs: Floats | None, *, relative: bool = False) -> float:
    """The largest difference; NaN where only one is there, or any is not a number."""
    if ours is None or theirs is None:
        return 0.0 if ours is theirs else math.nan
    if ours.shape != theirs.shape:
        return math.nan
    size = np.maximum(np.abs(ours), 1) if relative else 1.0
    return float(np.max(np.abs(theirs - ours) / size))  # NaN if any is


def _at(outputs: Outputs, row: int) -> Outputs:
    """Those of one image."""
    part = slice(row, row + 1)
    strange, uncertain = (
        None if values is None else values[part] for values in (outputs.ood_scores, outputs.uncertainty)
    )
    return Outputs(outputs.raw[part], outputs.logits[part], outputs.probabilities[part], strange, uncertain)


def _as_set(names: Any) -> Any:
    return None if names is None else frozenset(names)


def _size(gap: float) -> float:
    """A gap for comparison: what is not a number is larger than all."""
    return math.inf if math.isnan(gap) else gap


def _finite(gap: float) -> float | None:
    """A gap as JSON has it, which knows nothing that is not a number."""
    return float(gap) if math.isfinite(gap) else None
