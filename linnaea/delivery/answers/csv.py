"""Comma-separated values."""

from collections.abc import Sequence

from linnaea.delivery.answers.contract import FORMATS, written
from linnaea.predictions import Predictions
from linnaea.runtime import cells
from linnaea.runtime.cells import escape, join_cell


def as_csv(predictions: Predictions, *, guard_formulas: bool = True) -> str:
    """A header and a row per image; several labels, and those of a set, are joined by bars."""
    names = predictions.answer_columns
    rows: list[Sequence[str]] = [names]
    for answer in predictions:
        label, members = answer["label"], answer["prediction_set"] or ()
        several = join_cell(label) if isinstance(label, list) else label
        row = {**answer, "label": several, "prediction_set": "|".join(map(escape, members))}
        rows.append(["" if row[name] is None else str(row[name]) for name in names])
    return cells.as_csv(rows, guard_formulas=guard_formulas).rstrip("\n")


FORMATS.register("csv", title="CSV", meaning="A header and a row per image.", order=2)(written(as_csv))
