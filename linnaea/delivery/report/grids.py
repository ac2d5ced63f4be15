"""Mean maps as small grids of squares: where on images something lies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linnaea.delivery.report.words import number

BEGINS = "mean_map_"  # keys of rows whose values are grids begin so
MOST = 3  # rows of a finding whose grids are shown where none of them is named


@dataclass(frozen=True)
class Cell:
    """A square: its column and row, and how strongly it is coloured, 0 to 1."""

    x: int
    y: int
    strength: float


@dataclass(frozen=True)
class Grid:
    """A grid of `side` x `side` squares and what it is of."""

    title: str
    side: int
    cells: Sequence[Cell]


def is_grid(value: Any) -> bool:
    """Whether a value is a square of numbers."""
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(isinstance(row, list | tuple) and len(row) == len(value) for row in value)


def grids_in(rows: Sequence[Mapping[str, Any]]) -> list[list[Grid]]:
    """For each of a finding's rows its grids, on one scale; those of rows that are `named`, else of the first three."""
    named = [row for row in rows if row.get("named")]
    found = [list(_grids(row)) for row in (named or rows[:MOST])]
    return [grids for grids in found if grids]


def _grids(row: Mapping[str, Any]) -> Iterator[Grid]:
    own = {key: value for key, value in row.items() if str(key).startswith(BEGINS) and is_grid(value)}
    highest = max((number(cell) or 0.0 for grid in own.values() for line in grid for cell in line), default=0.0)
    for key, grid in own.items():
        cells = [
            Cell(x, y, max(0.0, (number(cell) or 0.0) / (highest or 1.0)))
            for y, line in enumerate(grid)
            for x, cell in enumerate(line)
        ]
        yield Grid(f"{row.get('class', '')}: {key.removeprefix(BEGINS).replace('_', ' ')}", len(grid), cells)
