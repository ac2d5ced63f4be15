"""A CSV, Parquet or JSON Lines file of paths and labels, given itself or lying in the folder under a usual name."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from linnaea.arrays import Flags, Integers
from linnaea.data.sources.assembling import assemble
from linnaea.data.sources.contract import SOURCES, Source
from linnaea.data.sources.label_columns import Labels, read_labels
from linnaea.data.sources.loading import ENDINGS, LEFT_OUT, PATH_NAMES, as_text, load, require_column
from linnaea.data.sources.missing import MISSING, tell_missing
from linnaea.data.sources.places import places_of
from linnaea.data.sources.split_words import splits_among
from linnaea.data.sources.taxonomy import beside
from linnaea.data.sources.trees import Folder, Tree, under
from linnaea.dataset import SPLITS, Dataset, Excluded
from linnaea.errors import DataError
from linnaea.runtime.cells import join_cell
from linnaea.runtime.containers.names import leads_outside

logger = logging.getLogger("linnaea")
USUAL_NAMES = tuple(f"{stem}{ending}" for stem in ("manifest", "labels", "metadata") for ending in ENDINGS)
PLAIN = ("split", "group", "time")
DISAGREEING = "named twice in the table, with different labels"
Texts = npt.NDArray[np.object_]


def detects(path: Path) -> bool:
    """A .csv, .tsv, .parquet or .jsonl file, or a folder with one of the usual names in it."""
    return _file_in(path) is not None


def read(path: Path) -> Dataset:
    """Read `path,label[,split][,group][,time][,...]`; paths are relative to the file's folder.

    Labels are one per image, several joined by `|`, or a column of 0 and 1 per class. Rows that name an absent file,
    carry no label, or say in a column `excluded` why they are not used, are left out and listed.
    """
    file = _file_in(path)
    if file is None:
        raise DataError(f"{path} is not a table: expected a CSV, TSV, Parquet or JSON Lines file.")
    return read_in(Folder(file.parent), {file.name: None})


def read_in(tree: Tree, tables: Mapping[str, str | None]) -> Dataset:
    """One dataset from tables in a folder or an archive; each speaks of its own folder, which may be that of a split.

    Raises DataError, saying where images were looked for, where no row can be used.
    """
    parts = [_rows(tree, name, split) for name, split in tables.items()]
    if not any(len(part) for part, _, _ in parts):
        raise DataError(_nothing(tree, [entry for _, left_out, _ in parts for entry in left_out], list(tables)))
    table = pa.concat_tables(_alike([part for part, _, _ in parts]), promote_options="permissive")
    columns = dict(zip(table.column_names, table.columns, strict=True))
    excluded = [*tree.refused, *(entry for _, left_out, _ in parts for entry in left_out)]
    classes = dict.fromkeys(name for _, _, names in parts for name in names)
    below, split = next((name.rpartition("/")[0], split) for name, split in tables.items())
    groups = beside(tree, below if split is None else below.rpartition("/")[0])
    return assemble(columns, excluded, tree.root, classes=tuple(classes), taxonomy=groups)


def table_in(tree: Tree, below: str = "") -> str | None:
    """The table in a folder under one of the usual names."""
    names = [under(below, name) for name in USUAL_NAMES]
    return next((name for name, is_there in zip(names, tree.have(names), strict=True) if is_there), None)


def _file_in(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() in ENDINGS else None
    return next((path / name for name in USUAL_NAMES if (path / name).is_file()), None)


def _rows(tree: Tree, file: str, split: str | None) -> tuple[pa.Table, list[Excluded], tuple[str, ...]]:
    """The rows of one table that can be used, the others, and classes that no row need name."""
    where, below = tree.shown(file), file.rpartition("/")[0]
    records = load(tree.read(file), where)
    path_column = require_column(records, PATH_NAMES, where)
    labels = read_labels(records, (path_column, LEFT_OUT, "sha256", *PLAIN), where)
    if labels.empty:
        logger.info(f"{labels.empty} images in {where} have an empty label: they count as showing none of the classes.")
    if labels.barless:
        logger.info(
            f"{labels.barless} of {len(records)} labels in {where} have no bar and the others do: an image in that "
            "table may show several classes. A bar that belongs to a name is written as \\|."
        )
    texts = places_of(as_text(records, path_column, where).fill_null("").to_pylist(), tree, below, where)
    given = as_text(records, LEFT_OUT, where).fill_null("").to_pylist() if LEFT_OUT in records.column_names else None
    reasons = _reasons(tree, below, texts, labels, given)
    used = np.array([reason == "" for reason in reasons], dtype=bool)
    lost = np.flatnonzero(~used).tolist()
    known = (path_column, LEFT_OUT, *labels.used, *labels.columns)
    left = [row for row in lost if given and given[row]]
    facts = _facts(records.take(left), (*known, "split", "sha256"), where) if left else []
    remembered = {row: (*_remembered(records, labels, row), told) for row, told in zip(left, facts, strict=True)}
    excluded = [
        Excluded(tree.id(under(below, name)) if name else f"row {row + 2}", reasons[row], *remembered.get(row, ()))
        for row, name in zip(lost, texts[lost].tolist(), strict=True)
    ]
    paths = [tree.id(under(below, name)) for name in texts[used].tolist()]
    kept = records.filter(pa.array(used))
    columns = {"path": pa.array(paths, pa.string())}
    columns |= {name: values.filter(pa.array(used)) for name, values in labels.columns.items()}
    columns |= _metadata(kept, known, where)
    numbers = np.flatnonzero(used) + 2
    if split is not None:
        columns["split"] = pa.array([split] * len(kept), pa.string())
    elif "split" in columns:
        columns["split"] = _splits(columns["split"], numbers, where)
    return pa.table(columns), excluded, labels.classes


def _alike(tables: list[pa.Table]) -> list[pa.Table]:
    """The tables with lists as labels in all of them where one has lists; columns of other types as text."""
    types = [{field.name: field.type for field in table.schema} for table in tables]
    several = any(pa.types.is_list(found["label"]) for found in types)
    mixed = {name for found in types for name in found if len({str(other.get(name)) for other in types} - {"None"}) > 1}
    for number, table in enumerate(tables):
        for place, name in enumerate(table.column_names):
            column = table.column(name)
            if name == "label" and several and not pa.types.is_list(column.type):
                lists = pa.array([[value] for value in column.to_pylist()], pa.list_(pa.string()))
                table = table.set_column(place, name, lists)
            elif name in mixed and not pa.types.is_list(column.type):
                table = table.set_column(place, name, column.cast(pa.string()))
        tables[number] = table
    return tables


def _remembered(records: pa.Table, labels: Labels, row: int) -> tuple[str | None, str | None]:
    """The label and the split of an image that a manifest says is left out: a classifier may be judged on it."""
    label = labels.columns["label"][row].as_py() if labels.given[row] else None
    split = str(records.column("split")[row].as_py()) if "split" in records.column_names else ""
    return join_cell(label) if isinstance(label, list) else label, split if split in SPLITS else None


def _facts(records: pa.Table, without: Sequence[str], where: str) -> list[tuple[tuple[str, Any], ...]]:
    """What else is known of each image."""
    columns = {name: column.to_pylist() for name, column in _metadata(records, without, where).items()}
    rows = range(len(records))
    return [tuple((name, values[row]) for name, values in columns.items() if values[row] is not None) for row in rows]


def _reasons(tree: Tree, below: str, names: Texts, labels: Labels, given: list[str] | None) -> Texts:
    """Why each row is left out, "" where it is not; `given` are the reasons that the table has itself."""
    images, first = _firsts(names)
    told = np.array(given if given else [""] * len(names), dtype=object)
    causes = {
        "no path given": names == "",
        "path leads outside the table's folder": np.array([leads_outside(name) for name in names], dtype=bool),
        DISAGREEING: _disagreeing(images, first, labels),
        "named twice in the table": ~first,
        "no label given": ~labels.given,
    }
    reasons: Texts = np.select([told != "", *causes.values()], [told, *causes], default="").astype(object)
    rest = np.flatnonzero(reasons == "")
    there = tree.have([under(below, name) for name in names[rest]])
    reasons[rest[~np.array(there, dtype=bool)]] = "file not found"
    return reasons


def _firsts(names: Texts) -> tuple[Integers, Flags]:
    """A number per row (N,), equal for rows of one image, and whether it is the image's first row."""
    images = pa.array(names, pa.string()).dictionary_encode().indices.to_numpy()
    first = np.zeros(len(names), dtype=bool)
    first[np.unique(images, return_index=True)[1]] = True
    return images.astype(np.int64), first


def _disagreeing(images: Integers, first: Flags, labels: Labels) -> Flags:
    """The rows (N,) of images to which further rows give another label: which of them is right, nobody knows."""
    places, given = {int(images[row]): row for row in np.flatnonzero(first)}, labels.columns["label"]
    told = {
        int(images[row])
        for row in np.flatnonzero(~first & labels.given)
        if labels.given[places[int(images[row])]] and given[row] != given[places[int(images[row])]]
    }
    return np.isin(images, list(told))


def _metadata(records: pa.Table, without: Sequence[str], where: str) -> dict[str, Any]:
    """Every other column; empty cells become nulls."""
    found = {}
    for name in records.column_names:
        if name not in without:
            column = records.column(name)
            if name in PLAIN:
                column = _without_missing(as_text(records, name, where), name, where)
            blank = pc.equal(column, "") if pa.types.is_string(column.type) else None
            found[name] = column if blank is None else pc.if_else(blank, pa.scalar(None, pa.string()), column)
    return found


def _splits(column: pa.ChunkedArray, numbers: npt.NDArray[np.int64], where: str) -> pa.ChunkedArray:
    names = pc.unique(column).drop_null().to_pylist()
    found = splits_among(names)
    strange = np.flatnonzero(pc.is_in(column, pa.array(set(names) - set(found), pa.string())))
    if len(strange):
        value = column[int(strange[0])].as_py()
        raise DataError(f"{where}, row {numbers[strange[0]]}: the split is {value!r}; expected train, val or test.")
    return pa.array([found.get(name) for name in names], pa.string()).take(
        pc.index_in(column, pa.array(names, pa.string()))
    )


def _without_missing(column: pa.Array, name: str, where: str) -> pa.Array:
    """The column with null where a word stands for a value that is missing."""
    missing = pc.is_in(pc.utf8_trim_whitespace(column), pa.array(MISSING))
    if not pc.any(missing).as_py():
        return column
    tell_missing(column.drop_null().dictionary_encode(), name, where)
    return pc.if_else(missing, pa.scalar(None, pa.string()), column)


def _nothing(tree: Tree, excluded: Sequence[Excluded], tables: list[str]) -> str:
    """Why no row of the tables can be used."""
    where = ", ".join(map(tree.shown, tables))
    if not excluded:
        return f"{where} contains no images: it has a header and no rows."
    reasons = Counter(entry.reason for entry in excluded).most_common(3)
    told = ", ".join(f"{count}: {reason}" for reason, count in reasons)
    return (
        f"{where} contains no usable images ({told}). The first row names {excluded[0].path!r}; paths are "
        f"relative to the folder of the table, {tree.shown(tables[0].rpartition('/')[0])}."
    )


SOURCES.register(
    "table",
    title="Table",
    meaning="Read `path,label[,split][,group][,time][,...]`; paths are relative to the file's folder.",
    order=40,
)(Source(detects, read))
