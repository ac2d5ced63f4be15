"""Columns of metadata as slices of the images: their values, bins of numbers, and pairs of columns."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import combinations
from typing import Any

import numpy as np

from linnaea.arrays import Floats, Integers
from linnaea.data.times import moments
from linnaea.errors import DataError, UsageError, suggest
from linnaea.predictions import OWN, Predictions
from linnaea.runtime.words import counted

MISSING = "(missing)"
OTHERS = "(all others)"
PAIRED = " × "  # between the names of two columns, and of their values
MOST_GROUPS = 20  # of one column
MOST_NUMBERS = 8  # different ones that are groups of their own
BINS = 4
SMALLEST = 10  # images of a group that is judged
ANSWERED = [name for name in OWN if name not in ("group", "id")]


@dataclass(frozen=True, eq=False)
class Slices:
    """The images by the values of a column, or of a pair of columns.

    `by` is the name of the column, `names` are those of the groups (G,), `places` (n,) each image's own among them.
    `note` says where values were brought together.
    """

    by: str
    names: tuple[str, ...]
    places: Integers
    note: str = ""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def images(self) -> Integers:
        """The number of images in each group (G,)."""
        return np.bincount(self.places, minlength=len(self)).astype(np.int64)


def columns_in(predictions: Predictions) -> dict[str, list[Any]]:
    """The columns of predictions by which images can be sliced."""
    fields = [field for field in predictions.table.schema if field.name not in ANSWERED and field.name != "id"]
    return {field.name: predictions.column(field.name) for field in fields if not hasattr(field.type, "value_type")}


def require_columns(by: Sequence[str], known: Sequence[str], where: str = "the images") -> None:
    """Raise UsageError for a column that is not among the `known` ones, named twice, or no metadata."""
    for name in by:
        if name in ("label", "truth", "unknown"):
            raise UsageError(
                f"--by {name} would make groups of one class each: the figures of each class are in the table "
                f"per_class, or per_label, of every evaluation. {_there(known)}"
            )
        if name not in known:
            raise UsageError(f"{where} have no column {name!r} of metadata. {_there(known)}{suggest(name, known)}")
        if by.count(name) > 1:
            raise UsageError(f"--by names {name!r} twice: expected each column once, separated by commas.")
    if not by:
        raise UsageError(f"--by names no column. {_there(known)}")


def _there(known: Sequence[str]) -> str:
    if not known:
        return (
            "There are no columns of metadata: give the images as a table of path and label with a column for each "
            "property, such as site or camera."
        )
    return f"The columns of metadata are {', '.join(known)}."


def slices_of(columns: Mapping[str, Sequence[Any]], by: Sequence[str], smallest: int = SMALLEST) -> list[Slices]:
    """The slices of each column, and of each pair of columns where several are named.

    Of more than 8 different numbers, or of dates, quarters by their ranks are groups; of more than 20 different texts
    those most often seen, each in `smallest` images or more, and all others together. Missing values are a group.
    Raises UsageError for a column whose values are all the same, or all rare.
    """
    require_columns(by, list(columns))
    single = [_of_column(name, columns[name], smallest) for name in by]
    return [*single, *(_paired(first, second) for first, second in combinations(single, 2))]


def _of_column(by: str, values: Sequence[Any], smallest: int) -> Slices:
    known = [None if _is_missing(value) else value for value in values]
    if not any(value is not None for value in known):
        raise UsageError(f"{by} is missing for every image: there are no groups to compare.")
    ordered = _order(known)
    different = len({value for value in known if value is not None})
    if ordered is not None and different > MOST_NUMBERS:
        return _binned(by, known, ordered)
    texts = [MISSING if value is None else _text(value) for value in known]
    if len(set(texts)) < 2:
        which = "the only image" if len(texts) == 1 else f"all of {counted(len(texts), 'image')}"
        raise UsageError(f"{by} is {texts[0]!r} for {which}: there is nothing to compare.")
    return _by_value(by, texts, known, ordered, smallest)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or (isinstance(value, str) and not value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _order(values: Sequence[Any]) -> Floats | None:
    """Numbers or dates as numbers (n,), NaN where one is missing; None for values without an order."""
    present = [value for value in values if value is not None]
    if any(isinstance(value, bool) for value in present):
        return None
    try:
        return np.array([math.nan if value is None else float(value) for value in values])
    except (TypeError, ValueError):
        pass
    if not all(isinstance(value, date | datetime) or str(value)[:4].isdecimal() for value in present):
        return None
    try:
        places = moments(values).astype(np.float64)
    except DataError:
        return None
    return np.where(places < 0, np.nan, places)


def _binned(by: str, values: Sequence[Any], order: Floats) -> Slices:
    """Quarters by rank; equal values are in the same one."""
    there = ~np.isnan(order)
    edges = np.unique(np.quantile(order[there], np.arange(1, BINS) / BINS))
    bins = np.searchsorted(edges, order, side="left")
    names: list[str] = []
    places = np.full(len(order), -1, dtype=np.int64)
    for number in np.unique(bins[there]).tolist():
        own = np.flatnonzero(there & (bins == number))
        least, most = (_text(values[own[place(order[own])]]) for place in (np.argmin, np.argmax))
        places[own] = len(names)
        names.append(least if least == most else f"{least} to {most}")
    if len(names) < 2 and there.all():
        raise UsageError(f"{by} is {names[0]} for nearly all images: there is nothing to compare.")
    if not there.all():
        places[~there] = len(names)
        names.append(MISSING)
    cut = counted(len(edges) + 1, "group")
    return Slices(by, tuple(names), places, f"The values of {by} were cut into {cut} of about as many images each.")


def _by_value(by: str, texts: Sequence[str], values: Sequence[Any], order: Floats | None, smallest: int) -> Slices:
    counts = Counter(texts)
    own, note = [name for name in counts if name != MISSING], ""
    if len(own) > MOST_GROUPS:
        often = [name for name, images in counts.most_common() if name != MISSING and images >= smallest]
        if not often:
            raise UsageError(
                f"{by} has {len(own):,} different values, and none of them in {smallest} images: expected a column "
                "that puts images together, such as a place or a device."
            )
        kept = often[: MOST_GROUPS - 1]
        rest = sum(counts[name] for name in own if name not in kept)
        note = (
            f"{by} has {len(own):,} different values: {counted(len(own) - len(kept), 'rare one')} with "
            f"{counted(rest, 'image')} are one group."
        )
        own = kept
    if order is not None:
        rank = {text: order[row] for row, text in enumerate(texts)}
        own.sort(key=lambda name: rank[name])
    else:
        own.sort(key=lambda name: (-counts[name], name))
    names = [*own, *([OTHERS] if note else []), *([MISSING] if MISSING in counts else [])]
    index = {name: place for place, name in enumerate(names)}
    others = index.get(OTHERS, -1)
    return Slices(by, tuple(names), np.array([index.get(text, others) for text in texts], dtype=np.int64), note)


def _paired(first: Slices, second: Slices) -> Slices:
    cells, places = np.unique(first.places * len(second) + second.places, return_inverse=True)
    pairs = [divmod(cell, len(second)) for cell in cells.tolist()]
    names = tuple(f"{first.names[one]}{PAIRED}{second.names[other]}" for one, other in pairs)
    return Slices(f"{first.by}{PAIRED}{second.by}", names, places.astype(np.int64))
