"""Checks on how the images lie in their splits: their order in time, and the classes that a split lacks."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from linnaea.arrays import Integers
from linnaea.data.audit.contract import CHECKS, Inspection
from linnaea.data.times import UNKNOWN, moments
from linnaea.dataset import SPLITS, Dataset
from linnaea.errors import DataError
from linnaea.finding import Finding
from linnaea.runtime.words import counted

MEANT = 0.8  # chance that a later part's image is younger than a train image, from which an order in time was meant


@CHECKS.register("time_across_splits", title="Time across splits", order=150, leak=True)
def time_across_splits(inspection: Inspection) -> Finding | None:
    """Images that are no younger than those of an earlier split: a warning where the splits were meant to be in order.

    They were if an image of val or test is younger than one of train with a chance of 0.8 or more.
    """
    dataset = inspection.dataset
    if not dataset.has("time") or not dataset.has("split"):
        return None
    try:
        times = moments(dataset.column("time"))
    except DataError as error:
        return Finding("time_across_splits", f"The order in time cannot be checked: {error}", severity="warning")
    rows, unknown = _misplaced(times, _numbered(dataset)), int((times == UNKNOWN).sum())
    if not len(rows) and not unknown:
        return None
    meant = bool(len(rows)) and _order(times, _numbered(dataset)) >= MEANT
    return Finding(
        "time_across_splits",
        " ".join(_sentences(len(rows), unknown, meant)),
        severity="warning" if meant else "info",
        count=len(rows) + unknown,
        rows=_table(dataset, rows),
        images=[dataset.ids[row] for row in rows[:6].tolist()],
    )


def _sentences(misplaced: int, unknown: int, meant: bool) -> Iterator[str]:
    if misplaced and meant:
        yield (
            f"{counted(misplaced, 'image is', 'images are')} out of order in time, where train comes before val "
            "and val before test: as a measure for later images, figures will be too optimistic."
        )
    elif misplaced:
        yield (
            f"The splits do not follow time, {counted(misplaced, 'image is', 'images are')} out of order: if the "
            "classifier is meant for later images, split by time."
        )
    if unknown:
        yield f"{counted(unknown, 'image has', 'images have')} no time, so their order is unknown."


@CHECKS.register("absent_classes", title="Absent classes", order=160)
def absent_classes(inspection: Inspection) -> Finding | None:
    """Classes of which a split has no image: nothing is learned of them, or nothing measured."""
    dataset = inspection.dataset
    if not dataset.has("split"):
        return None
    counts = Counter(
        (label, part)
        for labels, part in zip(dataset.label_lists, dataset.column("split"), strict=True)
        for label in labels
    )
    present = _parts(dataset)
    absent = [label for label in dataset.classes if not all(counts[label, name] for name in present)]
    if not absent:
        return None
    lacking = ", ".join(f"{sum(not counts[label, name] for label in absent)} in {name}" for name in present)
    return Finding(
        "absent_classes",
        f"{counted(len(absent), 'class has', 'classes have')} no image in a split ({lacking}): a class absent from "
        "train cannot be learned, one absent from val or test cannot be measured there.",
        severity="warning",
        count=sum(counts[label, name] for label in absent for name in present),
        rows=[{"class": label, **{name: counts[label, name] for name in present}} for label in absent],
    )


def shares(inspection: Inspection) -> Finding:
    """How many images each split has, and their share."""
    dataset = inspection.dataset
    counts = Counter(dataset.column("split"))
    rows = [
        {"split": name, "images": counts[name], "share": round(counts[name] / len(dataset), 4)}
        for name in _parts(dataset)
    ]
    said = ", ".join(f"{row['images']} {row['split']} ({row['share']:.1%})" for row in rows)
    missing = " and no ".join(name for name in SPLITS if not counts[name]) if set(counts) & set(SPLITS) else ""
    summary = f"{said}; no {missing}." if missing else f"{said}."
    return Finding("shares", summary, count=len(dataset), rows=rows)


def _parts(dataset: Dataset) -> list[str]:
    """The splits that there are, in their order."""
    found = set(dataset.column("split"))
    return [*(name for name in SPLITS if name in found), *sorted(found - set(SPLITS))]


def _numbered(dataset: Dataset) -> Integers:
    """The place of each image's split in the order of time (N,)."""
    return np.array([SPLITS.index(name) for name in dataset.column("split")], dtype=np.int64)


def _misplaced(times: Integers, parts: Integers) -> Integers:
    """Rows that stand in the way of the order, the fewer of those before and those after each border."""
    known = times != UNKNOWN
    found: set[int] = set()
    for border in range(1, len(SPLITS)):
        before, after = np.flatnonzero(known & (parts < border)), np.flatnonzero(known & (parts >= border))
        if len(before) and len(after):
            late = before[times[before] >= times[after].min()]
            early = after[times[after] <= times[before].max()]
            found.update((early if len(early) <= len(late) else late).tolist())
    return np.array(sorted(found), dtype=np.int64)


def _order(times: Integers, parts: Integers) -> float:
    """The chance that an image of val or test is younger than one of train, ties counting half."""
    known = times != UNKNOWN
    train, rest = np.sort(times[known & (parts == 0)]), times[known & (parts > 0)]
    if not len(train) or not len(rest):
        return 0.0
    below = np.searchsorted(train, rest, side="left") + np.searchsorted(train, rest, side="right")
    return float(below.mean() / 2 / len(train))


def _table(dataset: Dataset, rows: Integers) -> list[dict[str, object]]:
    ids, times, parts = dataset.ids, dataset.column("time"), dataset.column("split")
    return [{"path": ids[row], "split": parts[row], "time": str(times[row])} for row in rows.tolist()]
