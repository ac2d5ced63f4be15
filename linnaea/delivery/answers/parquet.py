"""A Parquet file."""

from pathlib import Path

from linnaea.delivery.answers.contract import FORMATS
from linnaea.errors import UsageError
from linnaea.predictions import Predictions


@FORMATS.register("parquet", title="Parquet", meaning="Every column, as a file.", order=4)
def as_parquet(predictions: Predictions, out: Path | None) -> str:
    """Every column, as a file; there is no text."""
    if out is None:
        raise UsageError("the parquet format needs a file: add --out answers.parquet.")
    predictions.write(out)
    return ""
