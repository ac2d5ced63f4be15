"""Cells that hold several names in another form than ours: lists, objects, names joined by semicolons or commas."""

import ast
import json
import logging
import warnings
from collections.abc import Sequence
from typing import Any

from linnaea.data.sources.loading import json_text
from linnaea.errors import DataError
from linnaea.runtime.words import counted

logger = logging.getLogger("linnaea")
LONGEST = 10_000  # letters of a cell that is read as a list


def read_lists(names: Sequence[str], where: str, *, alone: bool = False) -> list[list[str]] | None:
    """The names that each cell holds, where every cell is a list or joined by the same mark; None if they are names.

    `alone` says that each cell is known to be one name, whatever marks it has. Raises DataError, which asks, for
    objects, where only some cells are lists, and where the parts of a cell are labels, too. What is read in a way that
    may surprise is said.
    """
    values = [_value(name) for name in names]
    objects = [name for name, value in zip(names, values, strict=True) if _holds_object(value)]
    if objects:
        raise DataError(
            f"{where} has {counted(len(objects), 'label that is an object', 'labels that are objects')}, first "
            f"{objects[0]!r}: write the name of the class there, or a list of names."
        )
    bare = [name for name, value in zip(names, values, strict=True) if value is None and _is_bracketed(name)]
    if bare:
        raise DataError(
            f"{where} has {counted(len(bare), 'label')} in brackets, first {bare[0]!r}: if they are several "
            "classes of one image, join their names by a bar (cat|dog)."
        )
    lists = [value for value in values if isinstance(value, list)]
    if lists and len(lists) < len(names):
        first = names[values.index(lists[0])]
        raise DataError(
            f"{where} has labels that are lists, such as {first!r}, and {len(names) - len(lists)} that are not: make "
            "all of them lists, or join the names by a bar (cat|dog)."
        )
    if lists:
        logger.info(f"The labels of {where} are lists: an image may show several classes.")
        return [[text for item in value if (text := json_text(item)) is not None] for value in lists]
    return next((found for mark in ";," if (found := _joined(names, mark, where, alone)) is not None), None)


def _joined(names: Sequence[str], mark: str, where: str, alone: bool) -> list[list[str]] | None:
    """The parts of each name, where every one is joined by this mark from parts that are used elsewhere, too."""
    joined = [name for name in names if mark in name.strip(f" {mark}")]
    if not joined:
        return None
    parts = [[part.strip() for part in name.split(mark) if part.strip()] for name in names]
    if not alone and (mark == ";" or _mixed(names, parts, mark)):
        if all(mark in name for name in names) and _mixed(names, parts, mark):
            logger.info(f"The labels of {where} are read as several names joined by {mark!r}, such as {joined[0]!r}.")
            return parts
        bars = "|".join(part.strip() for part in joined[0].split(mark))
        raise DataError(
            f"{where} has {counted(len(joined), 'label')} containing {mark!r}, first {joined[0]!r}. If they "
            f"are several classes of one image, join their names by a bar, {bars!r}. If each is the name of one class, "
            "call the column 'class'."
        )
    logger.info(
        f"{len(joined)} classes of {where} have {mark!r} in their names, first {joined[0]!r}: each is one class."
    )
    return None


def _mixed(names: Sequence[str], parts: Sequence[list[str]], mark: str) -> bool:
    """Whether a part is a label by itself elsewhere, or stands at different places in different cells."""
    single = {name.strip(f" {mark}") for name in names if mark not in name.strip(f" {mark}")}
    places: dict[str, set[int]] = {}
    for cell in parts:
        for place, part in enumerate(cell):
            places.setdefault(part, set()).add(place)
    return any(len(cell) > 1 and not single.isdisjoint(cell) for cell in parts) or any(
        len(found) > 1 for found in places.values()
    )


def _value(cell: str) -> Any:
    """The list or object that a cell holds, as JSON or Python writes it; None for other text."""
    text = cell.strip()
    if len(text) > LONGEST or text[:1] + text[-1:] not in ("[]", "{}", "()"):
        return None
    for parse in (json.loads, _literal):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        return list(value) if isinstance(value, tuple | set) else value
    return None


def _literal(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # of a backslash in a name
        return ast.literal_eval(text)


def _is_bracketed(cell: str) -> bool:
    text = cell.strip()
    return text[:1] + text[-1:] == "[]" and "," in text


def _holds_object(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict | list) for item in value))
