"""Tables as text, and several names in one cell of them, joined by bars."""

import csv
import io
import re
from collections.abc import Sequence
from typing import Literal

BAR = "|"
_PIECE = re.compile(r"(\\*)(\|)")


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


def as_csv(rows: Sequence[Sequence[str]]) -> str:
    """Rows as CSV from which every reader gets the same cells back, whatever they hold or begin with."""
    text = _written(rows, csv.QUOTE_MINIMAL)
    return text if "\r" not in text else _written(rows, csv.QUOTE_ALL)  # else a lone \r would end a row for some


def _written(rows: Sequence[Sequence[str]], quoting: Literal[0, 1]) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=quoting, lineterminator="\n").writerows(rows)
    return out.getvalue()
