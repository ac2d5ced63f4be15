"""From columns of paths and labels to a dataset, the last step of every source."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linnaea.data.sources.taxonomy import from_labels
from linnaea.dataset import LISTS, Dataset, Excluded
from linnaea.errors import DataError
from linnaea.runtime.containers import MARK
from linnaea.runtime.words import counted
from linnaea.task import infer_task

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff")
TEXT, NAMES = pa.string(), pa.list_(pa.string())


def assemble(
    columns: Mapping[str, Any],
    excluded: Sequence[Excluded],
    root: Path,
    *,
    classes: Sequence[str] = (),
    taxonomy: Mapping[str, str] | None = None,
    in_order: bool = False,
) -> Dataset:
    """A dataset from columns, at least `path` and `label`; a column of lists as `label` makes it multi-label.

    Rows are put in the order of their paths unless they are `in_order`. Classes are in the order of their names, those
    of train first, and include `classes` that no row names. Optional columns without a value are left out. Raises
    DataError when there is no row.
    """
    table = pa.table({name: _array(name, values) for name, values in columns.items()})
    if not len(table):
        raise DataError(_nothing(root, excluded))
    if not in_order:
        table = table.take(pc.sort_indices(table.column("path")))
    several = pa.types.is_list(table.schema.field("label").type)
    names = _classes(table, several, classes)
    empty = [name for name in table.column_names[2:] if table.column(name).null_count == len(table)]
    table = table.drop_columns(empty)
    for name in ("label", *LISTS) if several else ():
        if name in table.column_names:
            place = table.column_names.index(name)
            table = table.set_column(place, name, _canonical(table.column(name).combine_chunks(), names))
    groups = from_labels(names) if taxonomy is None else taxonomy
    task = "multilabel" if several else infer_task(names, groups)
    return Dataset(table, names, task, root, tuple(excluded), dict(groups))


def numbered(files: Sequence[Path], counts: Sequence[int]) -> list[str]:
    """The paths of all images in files that hold so many each, numbered from 0."""
    return [f"{file.name}{MARK}{number}" for file, count in zip(files, counts, strict=True) for number in range(count)]


def _array(name: str, values: Any) -> pa.Array:
    given = isinstance(values, pa.Array | pa.ChunkedArray)
    array = values if given else pa.array(values if isinstance(values, np.ndarray) else list(values))
    if name in ("path", "split", "group", "time"):
        return array.cast(TEXT)
    if name == "label" or name in LISTS:
        return array.cast(NAMES if pa.types.is_list(array.type) or pa.types.is_large_list(array.type) else TEXT)
    return array


def _classes(table: pa.Table, several: bool, more: Sequence[str]) -> tuple[str, ...]:
    trained = table
    if "split" in table.column_names:
        trained = table.filter(pc.equal(table.column("split"), "train").fill_null(True))
    first = _named(trained, several)
    return (*sorted(first), *sorted((_named(table, several) | set(more)) - first))


def _named(table: pa.Table, several: bool) -> set[str]:
    """The names of classes in a table."""
    found: set[str] = set()
    for name in ("label", *LISTS) if several else ("label",):
        if name in table.column_names:
            column = table.column(name)
            found.update(pc.unique(pc.list_flatten(column) if several else column).drop_null().to_pylist())
    return found


def _canonical(lists: pa.Array, classes: Sequence[str]) -> pa.Array:
    """Each list with every name once, in the order of the classes."""
    value_set = pa.array(classes, TEXT)
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    places = pc.index_in(pc.list_flatten(lists), value_set).fill_null(-1).to_numpy(zero_copy_only=False)
    cells = np.unique((rows.astype(np.int64) * max(1, len(classes)) + places)[places >= 0])
    rows, places = np.divmod(cells, max(1, len(classes)))
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows.astype(np.int64), minlength=len(lists)))])
    values = value_set.take(pa.array(places.astype(np.int64)))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values, mask=lists.is_null())


def _nothing(root: Path, excluded: Sequence[Excluded]) -> str:
    reasons = sorted({entry.reason for entry in excluded})
    left_out = f"; {counted(len(excluded), 'file was', 'files were')} left out ({', '.join(reasons[:3])})"
    seen = left_out if excluded else ""
    return f"{root} contains no images{seen}: expected files ending in {' '.join(SUFFIXES)} in class folders."
