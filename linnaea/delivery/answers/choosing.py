"""Which output format is wanted."""

from functools import partial
from pathlib import Path

from linnaea.delivery.answers.contract import FORMATS, Writer, written
from linnaea.delivery.answers.csv import as_csv
from linnaea.errors import UsageError


def writer_for(name: str | None, out: Path | None, *, guard_formulas: bool = True) -> Writer:
    """The format of this name or, without one, that which the file's name ends in, otherwise a table.

    Raises UsageError for an unknown format, and where the file's name ends in another one. `guard_formulas` puts an
    apostrophe before cells of CSV that a spreadsheet would run.
    """
    ending = out.suffix.lower().removeprefix(".") if out is not None else ""
    known = ending if ending in FORMATS else None
    write = FORMATS[name or known or "table"]
    if name is not None and known not in (None, name):
        raise UsageError(f"{out} ends in .{ending}, and --format is {name}: leave one out, or make them agree.")
    return write if guard_formulas or (name or known) != "csv" else written(partial(as_csv, guard_formulas=False))
