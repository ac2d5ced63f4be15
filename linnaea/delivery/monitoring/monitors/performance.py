"""How right the answers were, where labels have come since."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from linnaea.arrays import Floats
from linnaea.delivery.monitoring.judging import NONE_OF_THEM, coveredness, rightness
from linnaea.delivery.monitoring.labelling import labelled_in, nobody_chose
from linnaea.delivery.monitoring.monitors.accuracy import ONE_LABEL, row_of
from linnaea.delivery.monitoring.monitors.contract import MONITORS, Watched, Window
from linnaea.delivery.monitoring.monitors.expected_coverage import expected
from linnaea.finding import Estimate, Finding
from linnaea.runtime.words import counted
from linnaea.statistics.weighed import share_of

SHOWN = 100  # classes of the table
NAMED = 5  # labels that are no class
RANDOM = "Figures are of labelled images, weighed by the chance that each had of being labelled."
ALL = "All images from the first labelled one to the last have their label: nobody chose."
BIASED = (
    "Figures are of labelled images, and nobody said how these were chosen. Images that were reviewed because they "
    "were doubtful are no random sample: of all images more answers may well be right. Label a random share, and give "
    "each image its chance in the column `chance`."
)


@MONITORS.register(
    "performance",
    title="Accuracy by late labels",
    meaning="Accuracy, that of each class, and coverage of the images whose labels came after the answers.",
    order=40,
)
def performance(watched: Watched) -> Sequence[Finding]:
    """Over the windows, and of each class over all of them; nothing where no label came."""
    known = [window for window in watched.windows if labelled_in(window.seen).any()]
    if not known:
        return []
    usual = share_of(rightness(watched.reference, watched.policy))
    right = [rightness(window.seen, watched.policy) for window in known]
    whole = np.concatenate(right)
    weights = _weights(known)
    over = share_of(whole, weights)
    caution = _caution(watched, weights)
    told = f"Accuracy of {over.n:,} labelled images: {over}; it was {usual} in the reference. {caution}"
    rows = [row_of(one, share_of(r, _weights([one])), usual.lo) for one, r in zip(known, right, strict=True)]
    found = [Finding("late_accuracy", told, "info", over.n, over, rows), _of_classes(watched, known, whole, weights)]
    return [*found, *_strangers(known), *_of_no_class(watched, known), *_selection(known)]


@MONITORS.register(
    "coverage",
    title="Coverage",
    meaning="How often prediction sets hold the truth: by late labels, and as probabilities expect it without.",
    order=50,
)
def coverage(watched: Watched) -> Sequence[Finding]:
    """Over the windows; without labels only where each image has one, and probabilities of its classes sum to one."""
    promised = watched.policy.coverage
    found = [expected(watched)] if watched.task in ONE_LABEL else []
    known = [window for window in watched.windows if np.isfinite(coveredness(window.seen)).any()]
    if not known:
        return found
    each, weights = [share_of(coveredness(one.seen), _weights([one])) for one in known], _weights(known)
    over = share_of(np.concatenate([coveredness(one.seen) for one in known]), weights)
    kept = "kept" if over.lo is not None and over.lo >= promised else "undecided"
    broken = over.hi is not None and over.hi < promised
    told = f"Prediction sets of {over.n:,} labelled images hold the truth in {over}; {promised:g} was promised"
    caution = _caution(watched, weights)
    sure = broken and caution != BIASED
    said = "missed" if sure else "missed among these" if broken else kept
    rows = [row_of(one, estimate, promised) for one, estimate in zip(known, each, strict=True)]
    late = Finding("late_coverage", f"{told}: {said}. {caution}", "warning" if sure else "info", over.n, over, rows)
    return [late, *found]


def _caution(watched: Watched, weights: Floats | None) -> str:
    """What is to be known of how the labelled images were chosen, which have these weights."""
    if weights is not None:
        return RANDOM
    return ALL if nobody_chose([window.seen for window in watched.windows]) else BIASED


def _weights(windows: Sequence[Window]) -> Floats | None:
    """One over the chance that each image had of being labelled (n,), None unless it is known of all that were."""
    weights = list[Floats]()
    for window in windows:
        labelled, chances = labelled_in(window.seen), window.seen.chances
        if chances is None or not np.isfinite(chances[labelled]).all():
            return None
        weights.append(np.where(labelled, 1 / np.where(labelled, chances, 1.0), 0.0))
    return np.concatenate(weights)


def _of_classes(watched: Watched, known: Sequence[Window], right: Floats, weights: Floats | None) -> Finding:
    truth = [one for window in known for one in window.seen.truth]
    rows: list[dict[str, Any]] = []
    for name in watched.classes:
        own = np.array([one == name or (isinstance(one, list) and name in one) for one in truth])
        if own.any():
            found = share_of(right[own], None if weights is None else weights[own])
            rows.append({"class": name, "images": found.n, "right": found.value, "lo": found.lo, "hi": found.hi})
    rows.sort(key=lambda row: (row["right"], -row["images"]))
    if not rows:
        return Finding("late_classes", "No labelled image shows one of the classes.", "warning")
    told = f"The class found least often is {rows[0]['class']}: {rows[0]['right']:.2f} of {rows[0]['images']} images."
    return Finding("late_classes", told, rows=rows[:SHOWN])


def _strangers(known: Sequence[Window]) -> list[Finding]:
    """Images that show none of the classes."""
    strange = [
        (name, reason)
        for window in known
        for name, truth, reason in zip(window.seen.ids, window.seen.truth, window.seen.reasons, strict=True)
        if truth == NONE_OF_THEM
    ]
    if not strange:
        return []
    noticed = sum(reason == "unfamiliar" for _, reason in strange)
    told = f"{len(strange)} labelled images show none of the classes; {noticed} of them were called unfamiliar."
    return [
        Finding("late_strangers", told, "warning", len(strange), rows=[{"image": name} for name, _ in strange[:20]])
    ]


def _of_no_class(watched: Watched, known: Sequence[Window]) -> list[Finding]:
    """Labels that are no class of the classifier: new classes, or misspelt ones."""
    names = {*watched.classes, *dict(watched.policy.parents).values(), NONE_OF_THEM}
    given = Counter(
        name
        for window in known
        for truth in window.seen.truth
        if truth is not None
        for name in (truth if isinstance(truth, list | tuple) else [truth])
        if name not in names
    )
    if not given:
        return []
    named = ", ".join(f"{name!r} ({count})" for name, count in given.most_common(NAMED))
    told = f"{counted(given.total(), 'label is', 'labels are')} no class of the classifier: {named}"
    more = ", ..." * (len(given) > NAMED)
    return [Finding("late_unknown_classes", f"{told}{more}. Their images count as answered wrongly.", "warning")]


def _selection(known: Sequence[Window]) -> list[Finding]:
    """Whether labelled images are those it was less sure of, which tells how they were chosen."""
    seen = [window.seen for window in known]
    labelled = np.concatenate([labelled_in(one) for one in seen])
    confidence = np.concatenate([one.confidence for one in seen])
    sound = np.isfinite(confidence)
    own, rest = confidence[labelled & sound], confidence[~labelled & sound]
    if len(own) < 2 or len(rest) < 2:
        return []
    gap = float(own.mean() - rest.mean())
    error = float(np.sqrt(own.var(ddof=1) / len(own) + rest.var(ddof=1) / len(rest)))
    figure = Estimate(gap, gap - 1.96 * error, gap + 1.96 * error, len(own), "difference of means, normal limits")
    apart = abs(gap) > 1.96 * error
    told = f"Labelled images have a mean confidence of {own.mean():.3f}, others of {rest.mean():.3f}: " + (
        "they were not chosen at random." if apart else "no choice by confidence is seen."
    )
    return [Finding("late_selection", told, "warning" if apart else "info", len(own), figure)]
