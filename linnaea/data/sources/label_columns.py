"""What the columns of a table say about classes: one label, several joined by bars, a list, or a 0/1 column each."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from linnaea.arrays import Flags
from linnaea.data.sources.loading import LABEL_NAMES, LEFT_OUT, as_text
from linnaea.data.sources.missing import MISSING, tell_missing
from linnaea.data.sources.several import read_lists
from linnaea.dataset import LISTS
from linnaea.errors import DataError, suggest
from linnaea.runtime.cells import holds_several, split_cell, unescape

ALONE = ("class", "class_name")  # columns that hold one name, whatever is in it
PRESENT, ABSENT = ("1", "1.0", "true"), ("0", "0.0", "false")
UNKNOWN = ("", "-1", "-1.0", "nan")  # -1 is how chest X-ray sets write "uncertain"
TEXT, NAMES = pa.string(), pa.list_(pa.string())


@dataclass(frozen=True)
class Labels:
    """Columns of a dataset by name, among them `label`; `given` says which rows have one; `used` names their sources.

    In a table of several labels `empty` counts the rows whose label is an empty cell, images that show no class, and
    `barless` those with a name and no bar.
    """

    columns: dict[str, pa.Array]
    given: Flags
    used: tuple[str, ...]
    classes: tuple[str, ...] = ()
    empty: int = 0
    barless: int = 0


def read_labels(records: pa.Table, metadata: tuple[str, ...], where: str) -> Labels:
    """The labels in a table, in whichever form they come; `metadata` names columns that are none.

    Raises DataError where there is neither a column of labels nor two or more columns of 0 and 1.
    """
    name = next((name for name in LABEL_NAMES if name in records.column_names), None)
    if name is None:
        return _from_flags(records, metadata, where)
    column = records.column(name).combine_chunks()
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return _with_lists(Labels({"label": column.cast(NAMES)}, _flags(column.is_valid()), (name,)), records)
    return _from_text(as_text(records, name, where), name, records, where)


def _from_text(column: pa.Array, name: str, records: pa.Table, where: str) -> Labels:
    """Labels as text; what a manifest of ours says is taken as it is, as it knows no other forms."""
    manifest = LEFT_OUT in records.column_names
    cells = column.fill_null("").dictionary_encode()
    different = cells.dictionary.to_pylist()
    missing = np.array([not manifest and cell.strip() in MISSING for cell in different], dtype=bool)[cells.indices]
    blank = np.array([not cell.strip() for cell in different], dtype=bool)
    is_blank: Flags = blank[cells.indices.to_numpy()] if len(cells) else np.zeros(0, dtype=bool)
    if not manifest:
        tell_missing(cells, "label", where)
    if not any(map(holds_several, different)):
        found = [cell for cell in different if cell.strip() and cell.strip() not in MISSING]
        read_as = None if manifest or not found else read_lists(found, where, alone=name in ALONE)
        if read_as is not None:
            known = dict(zip(found, read_as, strict=True))
            several = pa.array([known.get(cell) for cell in different], NAMES).take(cells.indices)
            return _with_lists(Labels({"label": several}, _flags(several.is_valid()), (name,)), records)
        names = pa.array([unescape(cell) for cell in different], TEXT)
        return Labels({"label": names.take(cells.indices)}, ~is_blank & ~missing, (name,))
    lists = pa.array([[part for part in split_cell(cell) if part.strip()] for cell in different], NAMES)
    given = _flags(column.is_valid()) & ~missing
    alone = np.array([not holds_several(cell) for cell in different], dtype=bool)[cells.indices.to_numpy()] & ~is_blank
    empty, barless = int((is_blank & given).sum()), int(alone.sum())
    labels = Labels({"label": lists.take(cells.indices)}, given, (name,), empty=empty, barless=barless)
    return _with_lists(labels, records)


def _with_lists(labels: Labels, records: pa.Table) -> Labels:
    """The same with the columns of unknown and absent classes, which mean that only beside several labels."""
    found = {name: as_lists(records.column(name).combine_chunks()) for name in LISTS if name in records.column_names}
    return replace(labels, columns=labels.columns | found, used=(*labels.used, *found))


def as_lists(column: pa.Array) -> pa.Array:
    """Cells of names joined by bars as lists; lists stay."""
    if not pa.types.is_string(column.type):
        return column.cast(NAMES)
    cells = column.dictionary_encode()
    lists = pa.array([split_cell(cell) if cell else None for cell in cells.dictionary.to_pylist()], NAMES)
    return lists.take(cells.indices)


def _from_flags(records: pa.Table, metadata: tuple[str, ...], where: str) -> Labels:
    """A 0/1 column per class; a blank cell says that nobody knows."""
    columns = {name: _as_flags(records.column(name)) for name in records.column_names if name not in metadata}
    flags = {name: values for name, values in columns.items() if values is not None}
    if len(flags) < 2:
        hint = suggest(LABEL_NAMES[0], records.column_names)
        raise DataError(
            f"{where} has the columns {', '.join(records.column_names)}; expected {LABEL_NAMES[0]!r} among them, or "
            f"two or more columns of 0 and 1, one per class.{hint}"
        )
    matrix = np.stack(list(flags.values()), axis=1)
    names = tuple(flags)
    lists = {"label": _lists(matrix == 1, names), "unknown": _lists(np.isnan(matrix), names)}
    if not np.isnan(matrix).any():
        del lists["unknown"]
    return Labels(lists, np.asarray(~np.isnan(matrix).all(axis=1)), names, classes=names)


def _as_flags(column: pa.ChunkedArray) -> npt.NDArray[np.float32] | None:
    """1, 0 and NaN for present, absent and unknown; None where a cell says anything else, or none says 0 or 1."""
    try:
        cells = pc.utf8_lower(pc.utf8_trim_whitespace(column.cast(TEXT).fill_null(""))).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    encoded = cells.dictionary_encode()
    meanings: dict[str, float] = dict.fromkeys(PRESENT, 1) | dict.fromkeys(ABSENT, 0) | dict.fromkeys(UNKNOWN, np.nan)
    different = encoded.dictionary.to_pylist()
    if not set(different) <= meanings.keys() or set(different) <= set(UNKNOWN):
        return None
    values = np.array([meanings[cell] for cell in different], dtype=np.float32)
    flags: npt.NDArray[np.float32] = values[encoded.indices.to_numpy()]
    return flags


def _lists(matrix: Flags, names: tuple[str, ...]) -> pa.Array:
    _, places = np.nonzero(matrix)
    ends = np.concatenate([[0], np.cumsum(matrix.sum(axis=1))])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(names, TEXT).take(pa.array(places)))


def _flags(column: Any) -> Flags:
    values: Flags = column.to_numpy(zero_copy_only=False).astype(bool)
    return values
