"""Labels that come after the answers: read from a table or a folder of reviewed images, and joined to what was seen."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from linnaea.data.review import ReviewFolder
from linnaea.delivery.monitoring.judging import NONE_OF_THEM
from linnaea.delivery.monitoring.seen import Seen
from linnaea.errors import DataError
from linnaea.finding import Finding
from linnaea.runtime.cells import holds_several, records_in, split_cell, unescape
from linnaea.runtime.text import read_text
from linnaea.runtime.words import counted

NEEDED = ("request", "place", "label")
CHANCE = "chance"  # the column that says how likely an image was to be labelled
NAMED = 5


@dataclass(frozen=True)
class LateLabel:
    """The label of one image of a request; `place` is which of its images, None where nobody said.

    `chance`, above 0 and up to 1, is how likely this image was to be chosen for labelling, None where nobody knows.
    """

    request: str
    place: int | None
    label: str | tuple[str, ...]
    chance: float | None = None


def read_late_labels(place: Path) -> list[LateLabel]:
    """Those of a CSV with the columns request, place, label and maybe chance, or of a folder of reviewed images.

    A cell with bars holds several labels, an empty one says that the image shows none of the classes. Raises DataError,
    naming the row, for what cannot be one.
    """
    if ReviewFolder.is_in(place) or (place.name == "review.csv" and ReviewFolder.is_in(place.parent)):
        folder = place if place.is_dir() else place.parent
        return _of_review(folder)
    if place.is_dir():
        raise DataError(f"{place} is a folder without review.csv: give a folder of reviewed images, or a CSV file.")
    try:
        rows = list(records_in(read_text(place)))
    except csv.Error as error:
        raise DataError(f"{place} cannot be read ({error}): save it as CSV separated by commas.") from None
    if not rows:
        raise DataError(f"{place} holds no label: expected rows of {','.join(NEEDED)} and maybe {CHANCE}.")
    missing = [name for name in NEEDED if name not in rows[0]]
    if missing:
        raise DataError(f"{place} has no column {', '.join(missing)}: expected {','.join(NEEDED)} and maybe {CHANCE}.")
    return [_of_row(row, f"{place}, row {number}") for number, row in enumerate(rows, 2)]


def _of_review(folder: Path) -> list[LateLabel]:
    reviewed = ReviewFolder(folder).reviewed().values()
    labels = [
        LateLabel(one.facts.request, one.facts.place, NONE_OF_THEM if one.label is None else one.label)
        for one in reviewed
        if one.facts.request
    ]
    if not labels:
        raise DataError(
            f"{folder} has {counted(len(reviewed), 'reviewed image')}, none of which is of a request that was logged: "
            "review the images of the log (`linnaea review RUN --from LOG`)."
        )
    return labels


def _of_row(row: dict[str, str], where: str) -> LateLabel:
    if not row["place"].isdecimal():
        raise DataError(f"{where}: place is {row['place']!r}; expected which image of the request it is, from 0.")
    cell, chance = row["label"], row.get(CHANCE, "")
    label = tuple(split_cell(cell)) if holds_several(cell) else unescape(cell)
    try:
        known = float(chance) if chance else None
    except ValueError:
        known = np.nan
    if known is not None and not 0 < known <= 1:
        raise DataError(f"{where}: {CHANCE} is {chance!r}; expected a number above 0 and up to 1.")
    return LateLabel(row["request"], int(row["place"]), label, known)


def joined(seen: Seen, labels: Iterable[LateLabel]) -> tuple[Seen, list[Finding]]:
    """What was seen with its truth, and the chance that each image had of being labelled; and what did not fit.

    Of several labels of one image the last counts. Labels of requests that were not seen are named and counted.
    """
    rows = {name: row for row, name in enumerate(seen.ids)}
    alone = _single(seen.ids)
    truth: list[Any] = [None] * len(seen)
    chances: list[float | None] = [None] * len(seen)
    strange, again = list[str](), 0
    for one in labels:
        name = alone.get(one.request) if one.place is None else f"{one.request}/{one.place}"
        row = rows.get(name or "")
        if row is None:
            strange.append(one.request if one.place is None else f"{one.request}/{one.place}")
            continue
        again += truth[row] is not None
        truth[row], chances[row] = list(one.label) if isinstance(one.label, tuple) else one.label, one.chance
    known = np.array([np.nan if chance is None else chance for chance in chances], dtype=np.float64)
    return seen.with_(truth=truth, chances=known), _findings(strange, again)


def _single(ids: Sequence[str]) -> dict[str, str | None]:
    """The only image of each request, None of those with several."""
    found: dict[str, str | None] = {}
    for name in ids:
        request = name.rpartition("/")[0]
        found[request] = None if request in found else name
    return found


def _findings(strange: Sequence[str], again: int) -> list[Finding]:
    found = []
    if strange:
        named = ", ".join(map(repr, strange[:NAMED])) + (", ..." if len(strange) > NAMED else "")
        told = f"{counted(len(strange), 'label is', 'labels are')} of requests that the log does not have: {named}."
        found.append(Finding("unknown_requests", told, "warning", len(strange)))
    if again:
        told = f"{counted(again, 'image was', 'images were')} labelled more than once: the last label counts."
        found.append(Finding("labelled_again", told, "info", again))
    return found
