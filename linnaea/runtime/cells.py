"""Tables as text, several names in one cell of them, joined by bars, and cells that a spreadsheet would run."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

BAR = "|"
_PIECE = re.compile(r"(\\*)(\|)")
_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")  # also in the full width of East Asian scripts
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def split_cell(cell: str) -> list[str]:
    r"""The names in a cell: `cat|dog` holds two, `cat|` one, `|` none; a cell without a bar is one name.

    Of n backslashes before a bar, half stand for themselves; if n is odd the bar belongs to the name (`a\|b`). All
    other backslashes stand for themselves. Inverse of `join_cell`.
    """
    names, name, position = [], "", 0
    for piece in _PIECE.finditer(cell):
        slashes = len(piece[1])
        name += cell[position : piece.start()] + "\\" * (slashes // 2)
        position = piece.end()
        if slashes % 2:
            name += BAR
        else:
            names.append(name)
            name = ""
    names.append(name + cell[position:])
    return names if len(names) == 1 else [name for name in names if name]


def holds_several(cell: str) -> bool:
    """Whether a cell has a bar that separates names, so that its image may carry several."""
    return any(len(piece[1]) % 2 == 0 for piece in _PIECE.finditer(cell))


def escape(name: str) -> str:
    r"""One name as a cell that `split_cell` reads as that name alone: bars become `\|`."""
    return _PIECE.sub(lambda piece: piece[1] * 2 + "\\" + BAR, name)


def unescape(cell: str) -> str:
    """The one name that a cell holds; inverse of `escape`."""
    return _PIECE.sub(lambda piece: "\\" * (len(piece[1]) // 2) + BAR, cell)


def join_cell(names: Sequence[str]) -> str:
    """Any number of names as one cell; one alone is followed by a bar, so that the cell says what it is."""
    whole = [escape(name) for name in names]
    before_bar = [name + "\\" * (len(name) - len(name.rstrip("\\"))) for name in whole]
    return BAR.join([*before_bar[:-1], whole[-1]]) if len(whole) > 1 else "".join(before_bar) + BAR


def is_guarded(cell: str) -> bool:
    """Whether a cell begins with an apostrophe that keeps a spreadsheet from running what follows it."""
    return cell.startswith("'") and _is_formula(cell)


def guarded(cell: str) -> str:
    """The cell, with an apostrophe before it where a spreadsheet would run it as a formula."""
    return f"'{cell}" if _is_formula(cell) else cell


def unguarded(cell: str) -> str:
    """The cell as it was before `guarded`."""
    return cell[1:] if is_guarded(cell) else cell


def _is_formula(cell: str) -> bool:
    """Whether a cell is one that spreadsheets run, or such a one behind apostrophes; a number is none."""
    return bool(_FORMULA.match(cell)) and not _NUMBER.fullmatch(cell.lstrip("'"))


def rows_in(text: str) -> Iterator[list[str]]:
    """The rows of a CSV text as `as_csv` was given them; raises csv.Error where it is none."""
    for row in csv.reader(io.StringIO(text, newline=""), strict=True):
        yield list(map(unguarded, row))


def records_in(text: str) -> Iterator[dict[str, str]]:
    """The rows below a header by the names there; raises csv.Error for a row with more or fewer cells."""
    rows = rows_in(text)
    names = next(rows, [])
    for number, row in enumerate(rows, 2):
        if row and len(row) != len(names):
            raise csv.Error(f"row {number} has {len(row)} cells, the header has {len(names)}")
        if row:
            yield dict(zip(names, row, strict=True))


def as_csv(rows: Iterable[Iterable[str]], *, guard_formulas: bool = True) -> str:
    """Rows as CSV from which `rows_in` gets the same cells back, whatever they hold or begin with.

    Cells that a spreadsheet would run are guarded by an apostrophe, unless that is turned off.
    """
    cells = [[guarded(cell) if guard_formulas else cell for cell in row] for row in rows]
    text = _written(cells, csv.QUOTE_MINIMAL)
    return text if "\r" not in text else _written(cells, csv.QUOTE_ALL)  # else a lone \r would end a row for some


def _written(rows: Sequence[Sequence[str]], quoting: Literal[0, 1]) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=quoting, lineterminator="\n").writerows(rows)
    return out.getvalue()
