"""`datasheet`: questions that only people can answer, beside what was counted."""

from pathlib import Path

from linnaea.data.datasheet import place_for, write_template
from linnaea.data.hashing import hashed
from linnaea.data.sources import read
from linnaea.dataset import Dataset


def datasheet(data: str | Path | Dataset, *, out: str | Path | None = None) -> Path:
    """Write an empty datasheet, with what can be counted filled in; raises UsageError where there is one already."""
    dataset = data if isinstance(data, Dataset) else read(data)
    file = place_for(dataset) if out is None else Path(out)
    return write_template(hashed(dataset)[0], file)
