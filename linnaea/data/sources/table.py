"""A CSV or Parquet file of paths and labels, given itself or lying in the folder under a usual name."""

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from linnaea.data.sources.folders import SPLIT_OF, build
from linnaea.dataset import Dataset, Excluded
from linnaea.errors import DataError, suggest

USUAL_NAMES = tuple(f"{stem}{suffix}" for stem in ("manifest", "labels", "metadata") for suffix in (".csv", ".parquet"))
PATH_NAMES = ("path", "file_name", "filename", "image")
LABEL_NAMES = ("label", "class", "target")
DELIMITER = "|"
LEFT_OUT = "excluded"  # the column of a manifest that says why a file is not used


def detects(path: Path) -> bool:
    """A .csv or .parquet file, or a folder with one of the usual names in it."""
    return _file_in(path) is not None


def read(path: Path) -> Dataset:
    """Read `path,label[,split][,group][,time][,...]`; paths are relative to the file's folder.

    Rows that name an absent file, carry no label, or say in a column `excluded` why they are not used, are left out
    and listed.
    """
    file = _file_in(path)
    if file is None:
        raise DataError(f"{path} is neither a CSV nor a Parquet file.")
    records = _load(file)
    _require_distinct(records.column_names, file)
    path_column, label_column = _find(records, PATH_NAMES, file), _find(records, LABEL_NAMES, file)
    rows: list[dict[str, Any]] = []
    excluded: list[Excluded] = []
    seen: set[str] = set()
    for number, record in enumerate(records.to_pylist(), 2):
        name = str(record.pop(path_column) or "")
        left_out = record.pop(LEFT_OUT, None)
        reason = left_out or _reason_to_skip(name, record.get(label_column), file.parent, seen)
        seen.add(name)
        if reason:
            excluded.append(Excluded(name or f"row {number}", reason))
            continue
        rows.append(_row(name, str(record.pop(label_column)).strip(), record, file, number))
    return build(rows, excluded, file.parent)


def _file_in(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() in (".csv", ".parquet") else None
    return next((path / name for name in USUAL_NAMES if (path / name).is_file()), None)


def _load(file: Path) -> pa.Table:
    try:
        if file.suffix.lower() == ".parquet":
            return pq.read_table(file)
        names = pa.csv.open_csv(file).schema.names
        as_text = pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        return pa.csv.read_csv(file, convert_options=as_text)
    except pa.ArrowInvalid as error:
        raise DataError(f"{file} cannot be read as a table ({error}): expected a header such as path,label.") from None


def _require_distinct(names: list[str], file: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{file} has the column {twice[0]!r} twice: rename or remove one of them.")


def _find(records: pa.Table, names: tuple[str, ...], file: Path) -> str:
    found = next((name for name in names if name in records.column_names), None)
    if found is None:
        hint = suggest(names[0], records.column_names)
        raise DataError(
            f"{file} has the columns {', '.join(records.column_names)}; expected {names[0]!r} among them.{hint}"
        )
    return found


def _reason_to_skip(name: str, label: Any, root: Path, seen: set[str]) -> str | None:
    if not name:
        return "no path given"
    if any(kind(name).anchor or ".." in kind(name).parts for kind in (PurePosixPath, PureWindowsPath)):
        return "path leads outside the table's folder"
    if name in seen:
        return "named twice in the table"
    if label is None or not str(label).strip():
        return "no label given"
    return None if (root / name).is_file() else "file not found"


def _row(name: str, label: str, rest: dict[str, Any], file: Path, number: int) -> dict[str, Any]:
    if DELIMITER in label:
        raise DataError(
            f"{file}, row {number}: the label {label!r} names several classes (joined by {DELIMITER}); expected one "
            "label per image, since classifiers with several labels per image are not part of this version."
        )
    row = {"path": name, "label": label, **{key: value for key, value in rest.items() if value not in (None, "")}}
    if "group" in row:
        row["group"] = str(row["group"])
    if "split" in row:
        split = SPLIT_OF.get(str(row["split"]).strip().lower())
        if split is None:
            raise DataError(f"{file}, row {number}: the split is {row['split']!r}; expected train, val or test.")
        row["split"] = split
    return row
