"""Splits in time: train before val before test, as a classifier is used on what comes after it was made."""

import numpy as np

from linnaea.arrays import Integers
from linnaea.data.splits.contract import SPLITTERS, Deal, Dealt
from linnaea.data.times import UNKNOWN, moments
from linnaea.errors import DataError

GOES_ON = "its group or a duplicate continues into a later split"


@SPLITTERS.register(
    "time",
    title="By time",
    meaning="Every train image is older than every val image, and those than every test image.",
    order=10,
)
def chronological(deal: Deal) -> Dealt:
    """Every train image is older than every val image, and those than every test image, by the `time` column.

    Images of one time are never apart. A unit that goes on over a border belongs to the later part; its images from
    before that border are left out. Raises DataError when an image has no time or the times are too few.
    """
    times = _times(deal)
    borders = _borders(times, list(deal.shares.values()))
    parts = np.searchsorted(borders, times, side="right")
    latest = np.zeros(len(deal.units), dtype=np.int64)
    np.maximum.at(latest, deal.units.of, parts)
    latest = latest[deal.units.of]
    names = list(deal.shares)
    _require_some(names, parts, latest)
    kept = np.where(parts == latest, parts, UNKNOWN).tolist()
    return Dealt([None if part == UNKNOWN else names[part] for part in kept], GOES_ON)


def _times(deal: Deal) -> Integers:
    """The place of each image in time; raises DataError when there is none."""
    dataset = deal.dataset
    if not dataset.has("time"):
        raise DataError(
            f"the images have no time: expected a column `time` beside {', '.join(dataset.table.column_names)}, or "
            "another way to split."
        )
    times = moments(dataset.column("time"))
    missing = np.flatnonzero(times == UNKNOWN)
    if len(missing):
        raise DataError(
            f"{len(missing)} of {len(dataset)} images have no time (first {dataset.ids[missing[0]]}): give each its "
            "time, leave them out, or split another way."
        )
    return times


def _borders(times: Integers, shares: list[float]) -> Integers:
    """The first moment of each part but the first: the one that comes nearest to the shares of the images."""
    before = np.concatenate([[0], np.cumsum(np.bincount(times))])  # images before each moment
    distinct = len(before) - 1
    if distinct < len(shares):
        raise DataError(
            f"the images have {distinct} different times: expected at least {len(shares)}, one for each split, because "
            "images of the same time stay together."
        )
    borders: list[int] = []
    for number, share in enumerate(np.cumsum(shares)[:-1].tolist(), 1):
        first, last = (borders[-1] if borders else 0) + 1, distinct - (len(shares) - number)
        allowed = before[first : last + 1]
        borders.append(first + int(np.abs(allowed - share * len(times)).argmin()))
    return np.array(borders, dtype=np.int64)


def _require_some(names: list[str], parts: Integers, latest: Integers) -> None:
    for number, name in enumerate(names):
        if not (latest[parts == number] == number).any():
            raise DataError(
                f"no image is left for {name}: each of its groups continues into a later split, where its later images "
                "are. Split without regard to time (stratified), or remove the groups."
            )
