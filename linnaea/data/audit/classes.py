"""Checks on the classes: too few of them, too small to measure, or out of balance."""

import math
from collections import Counter

from linnaea.data.audit.contract import CHECKS, Inspection
from linnaea.dataset import SPLITS
from linnaea.finding import Finding
from linnaea.runtime.words import counted
from linnaea.statistics.shares import limits_of_share

FEW = 10
IMBALANCE = 10.0
USUAL_SHARE = 0.15  # of a class is in the test split where none is given


@CHECKS.register("one_class", title="A single class", order=10)
def one_class(inspection: Inspection) -> Finding | None:
    """Nothing to tell apart."""
    present = {label for labels in inspection.dataset.label_lists for label in labels}
    if len(present) > 1:
        return None
    images = len(inspection.dataset)
    told = (
        f"All {images} images are of class {min(present)!r}" if present else f"None of the {images} images has a label"
    )
    return Finding(
        "one_class",
        f"{told}: a classifier needs at least two classes.",
        severity="error",
        count=images,
    )


@CHECKS.register("small_classes", title="Small classes", order=20)
def small_classes(inspection: Inspection) -> Finding | None:
    """Classes with so few images in a split that little can be said of them there, and how little."""
    dataset = inspection.dataset
    splits = dataset.column("split") if dataset.has("split") else ["all"] * len(dataset)
    pairs = zip(dataset.label_lists, splits, strict=True)
    counts = Counter((label, split) for labels, split in pairs for label in labels)
    present = [name for name in (*SPLITS, "all") if name in set(splits)]
    few = FEW if dataset.has("split") else math.ceil(FEW / USUAL_SHARE)
    small = [label for label in dataset.classes if any(0 < counts[label, split] < few for split in present)]
    if not small:
        return None
    judged = {label: _judged(counts, label, present) for label in small}
    worst, where = min(judged.values()), " in a split" if dataset.has("split") else ""
    return Finding(
        "small_classes",
        f"{counted(len(small), 'class has', 'classes have')} fewer than {few} images{where}: with only {worst} to "
        f"judge a class by, its accuracy is known to within {_half_width(worst):.0%} at best. Add images, or merge "
        "classes.",
        severity="warning",
        count=sum(counts[label, split] for label in small for split in present),
        rows=[
            {
                "class": label,
                **{split: counts[label, split] for split in present},
                "known to within": round(_half_width(judged[label]), 3),
            }
            for label in small
        ],
    )


@CHECKS.register("imbalance", title="Imbalance", order=30)
def imbalance(inspection: Inspection) -> Finding | None:
    """The largest class is many times the smallest."""
    counts = Counter(label for labels in inspection.dataset.label_lists for label in labels).most_common()
    if not counts or counts[0][1] < IMBALANCE * counts[-1][1]:
        return None
    (largest, most), (smallest, least) = counts[0], counts[-1]
    return Finding(
        "imbalance",
        f"{largest!r} has {most} images, {smallest!r} only {least}: judge by balanced accuracy and by the "
        "figures of each class, not by accuracy alone.",
        severity="warning",
        count=most,
        rows=[{"class": label, "images": count} for label, count in counts],
    )


def _judged(counts: Counter[tuple[str, str]], label: str, present: list[str]) -> int:
    """The images of a class that its figure on the last split would rest on."""
    last = present[-1]
    return math.floor(counts[label, last] * USUAL_SHARE) if last == "all" else counts[label, last]


def _half_width(images: int) -> float:
    """Half of the widest 95 % Wilson interval of a share of so many images."""
    lo, hi = limits_of_share(images / 2, images)
    return (hi - lo) / 2
