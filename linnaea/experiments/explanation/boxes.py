"""A table of boxes: where on each image the object lies that a map should point at."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from linnaea.arrays import Flags
from linnaea.data.images.boxes import Box, box_in_square
from linnaea.data.images.pixels import Recipe
from linnaea.errors import DataError, suggest
from linnaea.runtime.cells import rows_in
from linnaea.runtime.text import decoded
from linnaea.runtime.words import counted

COLUMNS = ("path", "left", "top", "right", "bottom")


def read_boxes(file: Path) -> dict[str, list[Box]]:
    """The boxes of each image by its path, from a CSV file `path,left,top,right,bottom`, in pixels of the photo.

    Raises DataError for a file without these columns, and for a box that has no area.
    """
    if not file.is_file():
        raise DataError(f"{file} does not exist: expected a CSV file with the columns {', '.join(COLUMNS)}.")
    rows = rows_in(decoded(file.read_bytes(), str(file)))
    head = [name.strip() for name in next(rows, [])]
    for name in COLUMNS:
        if name not in head:
            raise DataError(
                f"{file} has no column {name!r}: expected {', '.join(COLUMNS)}; it has {', '.join(head) or 'none'}."
                f"{suggest(name, head)}"
            )
    places = [head.index(name) for name in COLUMNS]
    found: dict[str, list[Box]] = {}
    for number, row in enumerate(rows, start=2):
        if row:
            path, box = _box(file, number, row, places)
            found.setdefault(path, []).append(box)
    if not found:
        raise DataError(f"{file} has no rows: expected a box per row.")
    return found


def _box(file: Path, number: int, row: Sequence[str], places: Sequence[int]) -> tuple[str, Box]:
    try:
        path, *edges = (row[place] for place in places)
        left, top, right, bottom = (float(edge) for edge in edges)
    except (IndexError, ValueError):
        raise DataError(f"line {number} of {file} is {','.join(row)!r}: expected a path and four numbers.") from None
    if not (math.isfinite(left + top + right + bottom) and left < right and top < bottom):
        raise DataError(
            f"line {number} of {file} has the box {left:g}, {top:g}, {right:g}, {bottom:g}, which has no area: "
            "expected left below right, and top below bottom."
        )
    return path, (left, top, right, bottom)


def objects_in(
    boxes: Mapping[str, Sequence[Box]], ids: Sequence[str], sizes: Sequence[tuple[int, int]], recipe: Recipe
) -> tuple[Flags, str]:
    """The pixels (N, S, S) inside the boxes of each image, whose width and height are `sizes`, and a note.

    An image is found by its path or, where that is unique, by the end of it. Raises DataError where no image has a box.
    """
    inside = np.zeros((len(ids), recipe.size, recipe.size), dtype=bool)
    for row, (name, size) in enumerate(zip(ids, sizes, strict=True)):
        for box in _of(boxes, name):
            left, top, right, bottom = box_in_square(box, *size, recipe.size, recipe.fit)
            columns = slice(max(0, round(left)), max(0, round(right)))
            inside[row, max(0, round(top)) : max(0, round(bottom)), columns] = True
    known = int(inside.any(axis=(1, 2)).sum())
    if not known:
        raise DataError(
            f"none of {counted(len(ids), 'image')} has a box within what is seen of it: first {ids[0]}; boxes are of "
            f"{counted(len(boxes), 'path')}, first {next(iter(boxes))}."
        )
    return inside, f"Boxes say where the object is on {known} of {counted(len(ids), 'image')}."


def _of(boxes: Mapping[str, Sequence[Box]], name: str) -> Sequence[Box]:
    if name in boxes:
        return boxes[name]
    ends = [path for path in boxes if name.endswith(f"/{path}") or path.endswith(f"/{name}")]
    return boxes[ends[0]] if len(ends) == 1 else ()
