"""Tables from the bytes of CSV, Parquet and JSON Lines files."""

import csv
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from linnaea.errors import DataError

ENDINGS = (".csv", ".parquet", ".jsonl")


def load(content: bytes, where: str) -> pa.Table:
    """A table from the bytes of a file, by the ending of its name; CSV cells are plain text, whatever they begin with.

    Raises DataError where it cannot be parsed or has a column twice.
    """
    try:
        if where.lower().endswith(".parquet"):
            table = _from_parquet(content)
        elif where.lower().endswith(".jsonl"):
            table = _from_json_lines(content)
        else:
            table = _from_csv(content)
    except (pa.ArrowInvalid, csv.Error, ValueError) as error:
        raise DataError(f"{where} cannot be read as a table ({error}): expected a header such as path,label.") from None
    names = table.column_names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{where} has the column {twice[0]!r} twice: rename or remove one of them.")
    return table


def _from_parquet(content: bytes) -> pa.Table:
    """Read from memory, not from a file of Python: Arrow's threads may outlive an error, and Python itself then."""
    with pq.ParquetFile(pa.BufferReader(content), pre_buffer=False) as file:
        return file.read()


def _from_csv(content: bytes) -> pa.Table:
    """Read from memory as well; Arrow's reader of headers would read on in the background, even after an error."""
    lines = csv.reader(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline=""))
    names = next((cells for cells in lines if cells), [])
    parse = pa.csv.ParseOptions(newlines_in_values=True)
    as_text = pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    return pa.csv.read_csv(pa.BufferReader(content), parse_options=parse, convert_options=as_text)


def _from_json_lines(content: bytes) -> pa.Table:
    rows = [json.loads(line) for line in content.decode("utf-8-sig").splitlines() if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line is no JSON object")
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: _json_column([row.get(name) for row in rows]) for name in names})


def _json_column(values: list[Any]) -> pa.Array:
    if any(isinstance(value, list) for value in values):
        lists = [value if isinstance(value, list) or value is None else [value] for value in values]
        return pa.array([None if value is None else [_json_text(item) for item in value] for value in lists])
    return pa.array([None if value is None else _json_text(value) for value in values], pa.string())


def _json_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def as_text(table: pa.Table, name: str, where: str) -> pa.Array:
    """A column as text; raises DataError where it holds something else, such as the bytes of images."""
    column = table.column(name).combine_chunks()
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise DataError(
            f"{where} has {column.type} in the column {name!r}; expected text. A Parquet file with the images in it is "
            "read by the library `datasets`: give linnaea.read what it loads."
        ) from None
