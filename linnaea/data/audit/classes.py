"""Checks on the classes: too small to measure, or out of balance."""

from collections import Counter

from linnaea.data.audit import CHECKS, Inspection
from linnaea.dataset import SPLITS
from linnaea.finding import Finding

FEW = 10
IMBALANCE = 10.0


@CHECKS.register("small_classes")
def small_classes(inspection: Inspection) -> Finding | None:
    """Classes with so few images in a split that nothing can be said of them there."""
    counts = Counter(zip(inspection.dataset.labels, inspection.dataset.column("split"), strict=True))
    present = [name for name in SPLITS if name in set(inspection.dataset.column("split"))]
    small = [label for label in inspection.dataset.classes if any(counts[label, split] < FEW for split in present)]
    if not small:
        return None
    return Finding(
        "small_classes",
        f"{len(small)} classes have fewer than {FEW} images in a split: their figures will be very uncertain.",
        severity="warning",
        count=sum(counts[label, split] for label in small for split in present),
        rows=[{"class": label, **{split: counts[label, split] for split in present}} for label in small],
    )


@CHECKS.register("imbalance")
def imbalance(inspection: Inspection) -> Finding | None:
    """The largest class is many times the smallest."""
    counts = Counter(inspection.dataset.labels).most_common()
    (largest, most), (smallest, least) = counts[0], counts[-1]
    if most < IMBALANCE * least:
        return None
    return Finding(
        "imbalance",
        f"{largest!r} has {most} images, {smallest!r} only {least}: look at balanced accuracy and at each class, "
        "not at accuracy alone.",
        severity="warning",
        count=most,
        rows=[{"class": label, "images": count} for label, count in counts],
    )
