"""Predictions as text or files, for people and for programs."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from linnaea.errors import UsageError
from linnaea.predictions import ANSWER, Predictions
from linnaea.registry import Registry
from linnaea.runtime import cells
from linnaea.runtime.cells import escape, join_cell
from linnaea.runtime.files import write_text

Writer = Callable[[Predictions, Path | None], str]  # to text, which is also written where a file is given
FORMATS: Registry[Writer] = Registry(
    "output format",
    "linnaea.delivery.answers",
    title="Output formats",
    use="Chosen with `linnaea predict --format`.",
)


def _writer(to_text: Callable[[Predictions], str]) -> Writer:
    def write(predictions: Predictions, out: Path | None) -> str:
        text = to_text(predictions)
        if out is not None:
            write_text(out, text + "\n")
        return text

    return write


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
    return write if guard_formulas or (name or known) != "csv" else _writer(partial(as_csv, guard_formulas=False))


def as_table(predictions: Predictions) -> str:
    """Aligned columns, for people."""
    return str(predictions)


def as_csv(predictions: Predictions, *, guard_formulas: bool = True) -> str:
    """A header and a row per image; several labels, and those of a set, are joined by bars."""
    rows: list[Sequence[str]] = [ANSWER]
    for answer in predictions:
        label, members = answer["label"], answer["prediction_set"] or ()
        several = join_cell(label) if isinstance(label, list) else label
        row = {**answer, "label": several, "prediction_set": "|".join(map(escape, members))}
        rows.append(["" if row[name] is None else str(row[name]) for name in ANSWER])
    return cells.as_csv(rows, guard_formulas=guard_formulas).rstrip("\n")


def as_json(predictions: Predictions) -> str:
    """A list of objects, with the probability of every class."""
    probabilities = predictions.column("probabilities")
    rows = [
        {**answer, "probabilities": None if row is None else dict(zip(predictions.classes, row, strict=True))}
        for answer, row in zip(predictions, probabilities, strict=True)
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)


@FORMATS.register("parquet", title="Parquet", meaning="Every column, as a file.", order=4)
def as_parquet(predictions: Predictions, out: Path | None) -> str:
    """Every column, as a file; there is no text."""
    if out is None:
        raise UsageError("the parquet format needs a file: add --out answers.parquet.")
    predictions.write(out)
    return ""


FORMATS.register("table", title="Table", meaning="Aligned columns, for people.", order=1)(_writer(as_table))
FORMATS.register("csv", title="CSV", meaning="A header and a row per image.", order=2)(_writer(as_csv))
FORMATS.register("json", title="JSON", meaning="A list of objects, with the probability of every class.", order=3)(
    _writer(as_json)
)
