"""Tables from the bytes of CSV, Parquet and JSON Lines files."""

import csv
import io
import json
import logging
import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from linnaea.errors import DataError
from linnaea.runtime.boundary import parsing
from linnaea.runtime.cells import is_guarded, unguarded
from linnaea.runtime.text import MOST_TABLE_BYTES, UTF16, as_utf8, decoded, lines_of
from linnaea.runtime.words import counted

logger = logging.getLogger("linnaea")
ENDINGS = (".csv", ".tsv", ".parquet", ".jsonl")
PATH_NAMES = ("path", "file_name", "filename", "image", "file_path", "filepath", "image_path", "image_name", "file")
LABEL_NAMES = ("label", "class", "target", "labels", "class_name")
LEFT_OUT = "excluded"  # the column of a manifest that says why a file is not used
KNOWN = (*PATH_NAMES, *LABEL_NAMES, LEFT_OUT, "split", "group", "time", "sha256", "unknown", "absent")
SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
HEADER = 2**20  # bytes in which a header must end
MOST_ROWS_PER_BYTE, FEW_ROWS = 8, 1_000_000  # a row says something, even in a packed file
EXPECTED = "expected a header such as path,label, and a row per image"


def load(content: bytes, where: str) -> pa.Table:
    """A table from the bytes of a file, by the ending of its name; CSV cells are plain text, whatever they begin with.

    A CSV file may be separated by semicolons or tabs, and known columns may be written in other letters, `Path`; both
    is said. Numbers that are none (NaN) become nulls. Raises DataError where it cannot be parsed or has a column twice.
    """
    ending = where.lower().rpartition(".")[2]
    if ending == "parquet":
        table = _from_parquet(content, where)
    elif ending == "jsonl":
        table = _from_json_lines(content, where)
    else:
        table = _from_csv(content, where)
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise DataError(f"{where} has the column {twice[0]!r} twice: rename or remove one of them.")
    return _with_known_names(table, where)


def _from_csv(content: bytes, where: str) -> pa.Table:
    text = as_utf8(content, where)
    if content.startswith(UTF16):
        logger.info(f"{where} is read as UTF-16 text.")
    with parsing(where, "a table", EXPECTED):
        separator, header = _header(text, where)
        types = pa.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False)
        table = pa.csv.read_csv(
            pa.BufferReader(text),  # no file of Python's, which a thread of Arrow might outlive
            read_options=pa.csv.ReadOptions(use_threads=False),
            parse_options=pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=types,
        )
        if table.column_names != header:
            raise ValueError("its header can be read in two ways")
    manifest = LEFT_OUT in header
    columns = [_unguarded(column) for column in table.columns]
    guarded = sum(count for _, count in columns)
    if guarded and not manifest:
        logger.info(
            f"{counted(guarded, 'cell')} in {where} had an apostrophe before a sign that starts a formula: it marks "
            "text in spreadsheets, and was removed."
        )
    return pa.table([column for column, _ in columns], names=header)


def _header(text: bytes, where: str) -> tuple[str, list[str]]:
    """What separates the cells, and the first row: that one in which a column of paths is known, else by commas."""
    begin = text[:HEADER].decode("utf-8", "ignore")
    rows = {mark: _first_row(begin, mark) for mark in SEPARATORS}
    usual = "\t" if where.lower().endswith(".tsv") else ","
    found = [mark for mark in (usual, *SEPARATORS) if {_plain(name) for name in rows[mark]} & set(PATH_NAMES)]
    if found and found[0] != usual:
        logger.info(f"{where} is read as separated by {SEPARATORS[found[0]].removeprefix('a ')}s.")
    separator = found[0] if found else usual
    return separator, rows[separator]


def _first_row(text: str, separator: str) -> list[str]:
    """The cells of the first row that is not empty; none where it cannot be read with this separator."""
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        return next((row for row in rows if row), [])
    except csv.Error:
        return []


def _unguarded(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
    """A column without the apostrophes that guard cells against spreadsheets, and how many had one."""
    if not pc.any(pc.starts_with(column, "'")).as_py():
        return column, 0
    cells = column.to_pylist()
    return pa.chunked_array([pa.array(map(unguarded, cells), pa.string())]), sum(map(is_guarded, cells))


def _from_parquet(content: bytes, where: str) -> pa.Table:
    with parsing(where, "a table"):
        schema = pq.read_schema(pa.BufferReader(content))
        texts = [
            field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
        with pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts, pre_buffer=False) as file:
            if file.metadata.num_rows > max(FEW_ROWS, MOST_ROWS_PER_BYTE * len(content)):
                raise DataError(
                    f"{where} claims {file.metadata.num_rows:,} rows in {len(content):,} bytes, which cannot be true: "
                    "it is not read."
                )
            table = file.read(use_threads=False)
            table.validate(full=True)  # text that is not UTF-8 would only be noticed when it is used
        return pa.table([_spelled_out(column, where) for column in table.columns], names=table.column_names)


def _spelled_out(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """Text without a dictionary, as long as that is not far more than the file holds; NaN as null."""
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if not pa.types.is_dictionary(column.type):
        return column
    lengths = (pc.binary_length(chunk.dictionary).take(chunk.indices) for chunk in column.chunks)
    if sum(pc.sum(part.cast(pa.int64())).as_py() or 0 for part in lengths) > MOST_TABLE_BYTES:
        raise DataError(f"{where} contains text of more than {MOST_TABLE_BYTES:,} bytes: it is not read.")
    return column.cast(pa.string())


def _from_json_lines(content: bytes, where: str) -> pa.Table:
    rows = []
    for number, line in enumerate(lines_of(decoded(content, where)), 1):
        if line.strip():
            with parsing(
                f"{where}, line {number}", "a table", 'expected an object such as {"path": ..., "label": ...}'
            ):
                row = json.loads(line, parse_constant=_constant)
                if not isinstance(row, dict):
                    raise ValueError("it is not a JSON object")
                rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    with parsing(where, "a table"):
        return pa.table({name: _json_column([row.get(name) for row in rows]) for name in names})


def _constant(name: str) -> float | None:
    """NaN is how missing values are written; infinite numbers stay."""
    return None if name == "NaN" else float(name.replace("Infinity", "inf"))


def _json_column(values: list[Any]) -> pa.Array:
    if any(isinstance(value, list) for value in values):
        lists = [value if isinstance(value, list) or value is None else [value] for value in values]
        return pa.array([None if value is None else list(map(json_text, value)) for value in lists])
    return pa.array(list(map(json_text, values)), pa.string())


def json_text(value: Any) -> str | None:
    """A value of JSON as text, numbers without a fraction as whole ones; None for what is missing."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else str(int(value)) if value.is_integer() else json.dumps(value)
    return json.dumps(value)


def _with_known_names(table: pa.Table, where: str) -> pa.Table:
    """The table with known columns in small letters, where no other has that name."""
    names = table.column_names
    plain = [_plain(name) if _plain(name) in KNOWN and _plain(name) not in names else name for name in names]
    renamed = [(old, new) for old, new in zip(names, plain, strict=True) if old != new and plain.count(new) == 1]
    if not renamed:
        return table
    logger.info(f"In {where} {', '.join(f'the column {old!r} is read as {new!r}' for old, new in renamed)}.")
    return table.rename_columns([dict(renamed).get(name, name) for name in names])


def _plain(name: str) -> str:
    return name.strip().lower()


def require_column(table: pa.Table, names: Sequence[str], where: str) -> str:
    """The first of these names that is a column; raises DataError, saying how to mend it, where none is."""
    found = next((name for name in names if name in table.column_names), None)
    if found is not None:
        return found
    columns = table.column_names
    if len(columns) == 1 and any(mark in columns[0] for mark in "| :"):
        fault = f"has one column, {columns[0]!r}: expected columns separated by commas, path,label"
    elif where.lower().endswith((".csv", ".tsv")) and any("." in name[-6:-1] and "/" in name for name in columns):
        fault = f"has no header; its first line is {','.join(columns)!r}: add a line path,label above it"
    else:
        fault = f"has the columns {', '.join(columns)}; expected {names[0]!r} among them: rename the column of paths"
    raise DataError(f"{where} {fault}.")


def as_text(table: pa.Table, name: str, where: str) -> pa.Array:
    """A column as text; raises DataError where it holds something else, such as the bytes of images."""
    column = table.column(name).combine_chunks()
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if name in LABEL_NAMES:
            mend = "Write the name of the class there, or a list of names."
        else:
            mend = "For a Parquet file that contains the images, load it with `datasets` and give linnaea.read the "
            "Dataset."
        raise DataError(f"{where} has {column.type} in the column {name!r}; expected text. {mend}") from None
