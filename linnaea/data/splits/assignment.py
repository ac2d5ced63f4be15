"""Filling the `split` column, and keeping to splits that are given."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from linnaea.arrays import Integers
from linnaea.data.splits.contract import SPLITTERS, Deal, Dealt, Splitter
from linnaea.data.splits.units import units_of
from linnaea.dataset import SPLITS, Dataset, Excluded
from linnaea.errors import DataError, UsageError
from linnaea.runtime.words import counted

logger = logging.getLogger("linnaea")
SHARE = 0.15
MOST_IMAGES = 5_000  # pins an accuracy down to half a point; more would only be lost to training


def default_fractions(images: int) -> dict[str, float]:
    """15 % each for val and test, at most 5,000 images, the rest for train."""
    share = min(SHARE, MOST_IMAGES / max(images, 1))
    return {"train": 1 - 2 * share, "val": share, "test": share}


def split(
    dataset: Dataset,
    groups: Integers | None = None,
    *,
    by: str = "stratified",
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Dataset:
    """Fill the `split` column by a splitter; equal `groups` (N,) are never apart, whatever the order of the rows.

    A dataset that has splits keeps them: a missing val part is taken out of train, nothing else moves. Fractions are
    of the images and sum to 1. Images that no part may have, as with "time", are left out with the reason. Raises
    UsageError for fractions or a splitter that given splits leave no room for, and DataError when the data cannot be
    split that way.
    """
    deal_out = SPLITTERS[by]
    groups = np.arange(len(dataset)) if groups is None else groups
    if dataset.has("split"):
        return _complete(dataset, groups, deal_out, by, fractions, seed)
    fractions = default_fractions(len(dataset)) if fractions is None else fractions
    if any(share < 0 for share in fractions.values()) or abs(sum(fractions.values()) - 1) > 1e-6:
        raise UsageError(f"split fractions are {dict(fractions)}; expected shares of at least 0 that sum to 1.")
    shares = {name: fractions[name] for name in SPLITS if fractions.get(name, 0) > 0}
    dealt = deal_out(Deal(dataset, units_of(dataset, groups, seed), shares))
    _require_filled(dataset, dealt.parts, shares)
    return _filled(dataset, dealt)


def fill_splits(dataset: Dataset, groups: Integers, *, seed: int = 0) -> Dataset:
    """Give a split to those images that have none, of a dataset whose others have one.

    An image goes where the others of its group (N,) are, into train where they lie apart; the rest are dealt out as
    `split` does.
    """
    parts: list[str | None] = list(dataset.column("split"))
    of_group: dict[int, str] = {}
    for group, part in zip(groups.tolist(), parts, strict=True):
        if part is not None:
            of_group[group] = min(part, of_group.get(group, part), key=SPLITS.index)
    parts = [part or of_group.get(group) for group, part in zip(groups.tolist(), parts, strict=True)]
    rows = np.array([row for row, part in enumerate(parts) if part is None], dtype=np.int64)
    if len(rows):
        rest = dataset.take(rows.tolist())
        known = [name for name in ("split", "group") if rest.has(name)]  # groups are in `groups`, and may fill one part
        rest = replace(rest, table=rest.table.drop_columns(known))
        dealt = split(rest, groups[rows], seed=seed).column("split")
        for row, part in zip(rows.tolist(), dealt, strict=True):
            parts[row] = part
    return dataset.with_column("split", parts)


def require_all(parts: Sequence[str | None], column: str = "split") -> None:
    """Raise DataError where images have no part in a column that others have one in."""
    if None in parts:
        raise DataError(f"{parts.count(None)} images have no {column} while others do: give every image one, or none.")


def _complete(
    dataset: Dataset,
    groups: Integers,
    deal_out: Splitter,
    by: str,
    fractions: Mapping[str, float] | None,
    seed: int,
) -> Dataset:
    """Keep the given splits; when none is val, take val out of train."""
    given = dataset.column("split")
    if fractions is not None:
        raise UsageError("the images already have splits, so fractions cannot be applied: remove one or the other.")
    require_all(given)
    if "train" not in given:
        raise DataError(f"the splits are {', '.join(sorted(set(given)))}; expected 'train' among them.")
    if "val" in given:
        if by != "stratified":
            raise UsageError(
                f"the images already have splits, so they cannot be split by {by}: remove one or the other."
            )
        return dataset
    rows = np.array([row for row, value in enumerate(given) if value == "train"])
    train = dataset.take(rows.tolist())
    share = min(SHARE, default_fractions(len(dataset))["val"] * len(dataset) / len(rows))
    dealt = deal_out(Deal(train, units_of(train, groups[rows], seed), {"train": 1 - share, "val": share}))
    _require_filled(train, dealt.parts, ("train", "val"))
    parts: list[str | None] = list(given)
    for row, part in zip(rows.tolist(), dealt.parts, strict=True):
        parts[row] = part
    return _filled(dataset, Dealt(parts, dealt.reason))


def _require_filled(dataset: Dataset, parts: Sequence[str | None], names: Collection[str]) -> None:
    """Raise DataError where `group` has so few values that a part is left without an image."""
    empty = [name for name in names if name not in parts]
    values = [value for value in dataset.column("group") if value is not None] if dataset.has("group") else []
    if not empty or len(set(values)) == len(values):
        return
    raise DataError(
        f"`group` has {counted(len(set(values)), 'value')}, and images with the same value stay together, "
        f"so {' and '.join(empty)} would be empty: expected at least {len(names)} values, and 10 or more for "
        "meaningful figures. Use smaller groups, remove the column if it groups nothing, or give the splits in a "
        "column `split`."
    )


def _filled(dataset: Dataset, dealt: Dealt) -> Dataset:
    """The dataset with its splits, less the images that no part may have."""
    gone = [path for path, part in zip(dataset.ids, dealt.parts, strict=True) if part is None]
    filled = dataset.with_column("split", dealt.parts)
    if not gone:
        return filled
    logger.warning(f"{len(gone)} images are left out of the splits: {dealt.reason}.")
    return filled.without([Excluded(path, dealt.reason) for path in gone])
