"""Splits that cannot leak: stratified, with every duplicate and every group on one side."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from linnaea.dataset import SPLITS, Dataset
from linnaea.errors import DataError, UsageError

SHARE = 0.15
MOST_IMAGES = 5_000  # pins an accuracy down to half a point; more would only be lost to training


def default_fractions(images: int) -> dict[str, float]:
    """15 % each for val and test, at most 5,000 images, the rest for train."""
    share = min(SHARE, MOST_IMAGES / max(images, 1))
    return {"train": 1 - 2 * share, "val": share, "test": share}


def split(
    dataset: Dataset,
    groups: npt.NDArray[np.int64] | None = None,
    *,
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Dataset:
    """Fill the `split` column: stratified by class, equal `groups` (N,) never apart, the same for any file order.

    A dataset that has splits keeps them: a missing val part is taken out of train, nothing else moves. Fractions are
    of the images and sum to 1. Raises DataError when a class would be left out of train altogether.
    """
    if fractions is not None and dataset.has("split"):
        raise UsageError("the images have splits already, so fractions cannot be kept: leave one or the other out.")
    fractions = default_fractions(len(dataset)) if fractions is None else fractions
    if any(share < 0 for share in fractions.values()) or abs(sum(fractions.values()) - 1) > 1e-6:
        raise UsageError(f"split fractions are {dict(fractions)}; expected shares of at least 0 that sum to 1.")
    if groups is None:
        groups = np.arange(len(dataset))
    if not dataset.has("split"):
        return dataset.with_column("split", _assign(dataset, groups, np.arange(len(dataset)), fractions, seed))
    return _complete(dataset, groups, fractions, seed)


def _complete(dataset: Dataset, groups: npt.NDArray[np.int64], fractions: Mapping[str, float], seed: int) -> Dataset:
    """Keep the given splits; when none is val, take val out of train."""
    given = dataset.column("split")
    if None in given:
        raise DataError(f"{given.count(None)} images have no split while others do: give every image one, or none.")
    if "train" not in given:
        raise DataError(f"the splits are {', '.join(sorted(set(given)))}; expected 'train' among them.")
    if "val" in given:
        return dataset
    rows = np.array([row for row, value in enumerate(given) if value == "train"])
    share = min(SHARE, fractions["val"] * len(dataset) / len(rows))
    parts = _assign(dataset, groups, rows, {"train": 1 - share, "val": share}, seed)
    for row, part in zip(rows.tolist(), parts, strict=True):
        given[row] = part
    return dataset.with_column("split", given)


def _assign(
    dataset: Dataset,
    groups: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    fractions: Mapping[str, float],
    seed: int,
) -> list[str]:
    """Give whole units, the largest first, to the split that lacks most of their classes (Sechidis et al. 2011)."""
    targets = dataset.targets[rows]
    names = [name for name in SPLITS if fractions.get(name, 0) > 0]
    counts = np.bincount(targets, minlength=len(dataset.classes)).astype(float)
    lacking = {name: counts * fractions[name] for name in names}
    units: dict[int, list[int]] = defaultdict(list)
    for position, row in enumerate(rows.tolist()):
        units[int(groups[row])].append(position)
    keys = _content_keys(dataset, rows, seed)
    ordered = sorted(units.values(), key=lambda unit: (-len(unit), min(keys[position] for position in unit)))
    assigned = [""] * len(rows)
    for unit in ordered:
        wanted = np.bincount(targets[unit], minlength=len(dataset.classes))
        name = max(names, key=lambda name: float(lacking[name] @ wanted))
        lacking[name] -= wanted
        for position in unit:
            assigned[position] = name
    _require_training_images(dataset, targets, assigned)
    return assigned


def _content_keys(dataset: Dataset, rows: Sequence[int] | npt.NDArray[np.int64], seed: int) -> list[str]:
    """A random-looking key per row that depends on the content (the path where that is unknown) and the seed only."""
    contents = dataset.column("sha256") if dataset.has("sha256") else dataset.ids
    return [hashlib.sha256(f"{seed}:{contents[row]}".encode()).hexdigest() for row in rows]


def _require_training_images(dataset: Dataset, targets: npt.NDArray[np.int64], assigned: Sequence[str]) -> None:
    trained = {int(target) for target, name in zip(targets, assigned, strict=True) if name == "train"}
    missing = [dataset.classes[target] for target in sorted(set(targets.tolist()) - trained)]
    if missing:
        raise DataError(
            f"no training image is left for {', '.join(missing[:5])}: all its images belong to one group that went to "
            "another split; add images or groups of it, or give the splits yourself."
        )
