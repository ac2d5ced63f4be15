"""Stratified splits: each class has its share everywhere, whole units, the largest first."""

from collections.abc import Sequence

from linnaea.data.splits.contract import SPLITTERS, Deal, Dealt
from linnaea.data.splits.iterative import iterative, rarest_first
from linnaea.data.splits.lack import Lack
from linnaea.data.splits.units import Units
from linnaea.dataset import Dataset
from linnaea.errors import DataError


@SPLITTERS.register(
    "stratified",
    title="Stratified",
    meaning="Each class has its share in each part; duplicates and groups stay whole.",
    order=30,
)
def stratified(deal: Deal) -> Dealt:
    """Each class has its share in each part, and units stay whole; images with several labels by `iterative`.

    Raises DataError when a class would be left out of train altogether.
    """
    if deal.dataset.multilabel:
        return iterative(deal)
    names = list(deal.shares)
    parts = deal.units.spread(largest_first(deal.units, list(deal.shares.values())))
    assigned = [names[part] for part in parts.tolist()]
    _require_training_images(deal.dataset, assigned)
    return Dealt(assigned)


def largest_first(units: Units, shares: Sequence[float]) -> list[int]:
    """The part of each unit: the one that lacks most of the classes in it, then of images; the largest units first."""
    lack, contents, sizes = Lack(units, shares), list(units.contents()), units.sizes.tolist()
    parts = [0] * len(units)
    for unit in sorted(range(len(units)), key=lambda unit: (-sizes[unit], contents[unit][0])):  # class by class
        parts[unit] = lack.fill(contents[unit], sizes[unit])
    return parts


def deal_evenly(dataset: Dataset, units: Units, parts: int) -> list[int]:
    """The part of each unit, 0 to `parts` - 1, of equal shares: stratified, by labels where an image has several."""
    way = rarest_first if dataset.multilabel else largest_first
    return way(units, [1 / parts] * parts)


def _require_training_images(dataset: Dataset, assigned: Sequence[str]) -> None:
    trained = {label for label, name in zip(dataset.labels, assigned, strict=True) if name == "train"}
    missing = [name for name in dataset.classes if name not in trained and name in set(dataset.labels)]
    if missing:
        raise DataError(
            f"no training image is left for {', '.join(missing[:5])}: all images of such a class belong to groups that "
            "went to another split; add images or groups, or give the splits yourself."
        )
