"""Accuracy without labels: what the share of right answers in each window would be, by what each estimate supposes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from linnaea.arrays import Floats, Integers
from linnaea.delivery.monitoring.judging import rightness
from linnaea.delivery.monitoring.monitors.contract import MONITORS, Watched, Window
from linnaea.delivery.monitoring.seen import Seen
from linnaea.errors import DataError
from linnaea.finding import Estimate, Finding
from linnaea.statistics.label_free import Judged, difference_of_confidence, mean_confidence, thresholded_confidence
from linnaea.statistics.label_shift import accuracy_of_shares
from linnaea.statistics.weighed import share_of

ONE_LABEL = ("binary", "multiclass")
CAUTION = "An estimate without labels, not accuracy: it is too high where images are answered wrongly with confidence."
Method = Callable[[Watched, Judged, Seen], Estimate]
METHODS: Mapping[str, tuple[Method, str, str]] = {
    "difference_of_confidence": (
        lambda watched, judged, seen: difference_of_confidence(judged, seen.confidence),
        "Difference of confidence",
        "confidence is off by as much as in the reference",
    ),
    "thresholded_confidence": (
        lambda watched, judged, seen: thresholded_confidence(judged, seen.confidence, seed=watched.seed),
        "Average thresholded confidence",
        "one confidence tells right answers from wrong ones, as in the reference",
    ),
    "mean_confidence": (
        lambda watched, judged, seen: mean_confidence(seen.confidence),
        "Mean calibrated confidence",
        "confidence means what it says",
    ),
    "class_shares": (
        lambda watched, judged, seen: _of_shares(watched, seen),
        "Recall at estimated class shares",
        "classes look as they did and only their shares changed",
    ),
}


@MONITORS.register(
    "accuracy",
    title="Estimated accuracy",
    meaning="How many answers of a window are right, estimated without labels in several ways.",
    order=20,
)
def accuracy(watched: Watched) -> Sequence[Finding]:
    """A finding for each way, with a row for each window."""
    if watched.task not in ONE_LABEL:
        told = f"The task is {watched.task}: accuracy is estimated without labels only where an image has one label."
        return [Finding("estimated_accuracy", told, "warning")]
    reference = answered(watched.reference)
    right = rightness(reference, watched.policy)
    known = np.isfinite(right)
    if known.sum() < 2:
        told = "Accuracy is not estimated: the reference has no labels, so nobody knows how right confidence is there."
        return [Finding("estimated_accuracy", told, "warning")]
    judged = Judged(reference.confidence[known], right[known] == 1)
    usual = share_of(right)
    return [_finding(watched, name, judged, usual) for name in METHODS]


def _finding(watched: Watched, name: str, judged: Judged, usual: Estimate) -> Finding:
    method, title, supposes = METHODS[name]
    rows, latest = list[dict[str, Any]](), None
    for window in watched.windows:
        try:
            found = method(watched, judged, answered(window.seen))
        except DataError as error:
            return Finding(f"estimated_accuracy_{name}", f"{title}: {error}", "warning")
        rows.append(row_of(window, found, usual.lo))
        latest = found if found.value is not None else latest
    if latest is None:
        return Finding(f"estimated_accuracy_{name}", f"{title}: there is no window with images.", "warning", rows=rows)
    told = f"{title}: about {latest} of the answers in the last window are right, if {supposes}. It was {usual}."
    return Finding(f"estimated_accuracy_{name}", f"{told} {CAUTION}", figure=latest, count=latest.n, rows=rows)


def row_of(window: Window, found: Estimate, limit: float | None = None) -> dict[str, Any]:
    """The row of a window, as it is drawn; `limit` is what the figure should not fall below."""
    return {
        "window": window.name,
        "images": found.n,
        "value": found.value,
        "lo": found.lo,
        "hi": found.hi,
        "limit": limit,
    }


def answered(seen: Seen) -> Seen:
    """Those that have an answer."""
    return seen.take(np.flatnonzero(seen.readable))


def probabilities_of(seen: Seen) -> Floats:
    """Calibrated probabilities (n, K) where each image has one label."""
    return np.asarray(softmax(seen.logits, axis=1))


def labelled(watched: Watched) -> tuple[Seen, Integers]:
    """The reference images whose truth is one of the classes, and which class it is (n,)."""
    numbers = {name: number for number, name in enumerate(watched.classes)}
    reference = answered(watched.reference)
    places = np.array([numbers.get(truth, -1) for truth in reference.truth], dtype=np.int64)
    rows = np.flatnonzero(places >= 0)
    return reference.take(rows), places[rows]


def _of_shares(watched: Watched, seen: Seen) -> Estimate:
    if len(seen) < 2:
        return Estimate(None, None, None, len(seen), "not defined: too few images")
    reference, targets = labelled(watched)
    right = rightness(reference, watched.policy) == 1
    return accuracy_of_shares(probabilities_of(reference), targets, right, probabilities_of(seen))[0]
