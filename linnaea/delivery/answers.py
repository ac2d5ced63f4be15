"""Predictions as text or files, for people and for programs."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from linnaea.predictions import Predictions
from linnaea.registry import Registry
from linnaea.runtime.files import write_text

COLUMNS = ("id", "label", "confidence", "prediction_set", "ood_score", "reason", "detail")
FORMATS: Registry[Any] = Registry("output format")


def render(predictions: Predictions, name: str, out: Path | None = None) -> str:
    """The answers as "table", "csv" or "json" text, also written to `out`; "parquet" is only written."""
    if name == "parquet" and out is not None:
        predictions.write(out)
        return ""
    FORMATS[name]
    text: str = FORMATS[name](predictions)
    if out is not None:
        write_text(out, text + "\n")
    return text


def answers(predictions: Predictions) -> list[dict[str, Any]]:
    """A dictionary per image with the answer's columns."""
    rows: list[dict[str, Any]] = predictions.table.select(list(COLUMNS)).to_pylist()
    return rows


@FORMATS.register("table")
def as_table(predictions: Predictions) -> str:
    """Aligned columns."""
    header = ["image", "label", "confidence", "set", "ood score", "reason"]
    rows = [
        [
            row["id"],
            row["label"] or "-",
            "-" if row["confidence"] is None else f"{row['confidence']:.3f}",
            ", ".join(row["prediction_set"] or ()) or "-",
            "-" if row["ood_score"] is None else f"{row['ood_score']:.2f}",
            row["reason"] + (f": {row['detail']}" if row["detail"] else ""),
        ]
        for row in answers(predictions)
    ]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows])
    return "\n".join(line.rstrip() for line in lines)


@FORMATS.register("csv")
def as_csv(predictions: Predictions) -> str:
    """A header and a row per image; sets are joined by a bar."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "prediction_set": "|".join(row["prediction_set"] or ())} for row in answers(predictions))
    return out.getvalue().rstrip("\n")


@FORMATS.register("json")
def as_json(predictions: Predictions) -> str:
    """A list of objects, with the probability of every class."""
    probabilities = predictions.column("probabilities")
    rows = [
        {**row, "probabilities": None if p is None else dict(zip(predictions.classes, p, strict=True))}
        for row, p in zip(answers(predictions), probabilities, strict=True)
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)


FORMATS.register("parquet")(as_table)
