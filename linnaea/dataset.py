"""A dataset: an immutable table with a row per image, and what was left out."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from linnaea.errors import DataError
from linnaea.runtime.cells import as_csv, escape, join_cell, split_cell
from linnaea.runtime.containers import Member, locate
from linnaea.task import TASKS, infer_task
from linnaea.taxonomy import Taxonomy

SPLITS = ("train", "val", "test")
MANIFEST = ("path", "label", "split", "group", "sha256")
MANIFEST_IF_PRESENT = ("time", "unknown", "absent")
LISTS = ("unknown", "absent")
NO_METADATA = (*MANIFEST, *LISTS, "excluded")


@dataclass(frozen=True)
class Excluded:
    """A file that is not used, and why; several labels stand in `label` as one cell of a table does.

    `facts` are what else is known of it, the names of columns and its values.
    """

    path: str
    reason: str
    label: str | None = None
    split: str | None = None
    facts: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Images with their labels and metadata, one table row each.

    `table` has the columns `path` (relative to `root`, with forward slashes; `photos.zip#cat/1.jpg` for a part of a
    packed file) and `label`, and any of `split` (train, val, test), `group`, `time`, `sha256` and further metadata.
    `classes` is the order of the classes by name; `task` a name in `linnaea.task.TASKS`. Rows keep the order of their
    paths, whatever the file system says. `taxonomy` maps a class or a group of classes to the group above it.

    Where an image may carry several labels (`task` "multilabel"), `label` holds lists. A column `unknown` lists the
    classes of which nobody knows whether they are there; or a column `absent` lists those known not to be there, and
    all others that are not labels are unknown. Without either, what is not a label is absent.
    """

    table: pa.Table
    classes: tuple[str, ...]
    task: str
    root: Path
    excluded: tuple[Excluded, ...] = ()
    taxonomy: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def ids(self) -> list[str]:
        """The `path` column: what identifies an image in manifests and predictions."""
        return self.column("path")

    @property
    def paths(self) -> list[Path | Member]:
        """Where the images are: files, or members of packed files, which can be read in the same way."""
        return locate(self.root, self.ids)

    @property
    def multilabel(self) -> bool:
        """Whether an image may carry any number of labels."""
        return TASKS[self.task].multilabel

    @property
    def tree(self) -> Taxonomy:
        """The tree over the classes where the task is hierarchical; else all of them lie below its root."""
        return Taxonomy.of(self.classes, self.taxonomy if TASKS[self.task].hierarchical else {})

    def with_taxonomy(self, taxonomy: Mapping[str, str]) -> "Dataset":
        """The dataset with these groups, from child to parent, and the task that follows; none by an empty mapping.

        Raises DataError where they run in a loop.
        """
        task = self.task if self.multilabel else infer_task(self.classes, taxonomy)
        return replace(self, taxonomy=dict(taxonomy), task=task)

    @property
    def labels(self) -> list[Any]:
        """The `label` column: a name per image, or a list of names where there may be several."""
        return self.column("label")

    @property
    def label_lists(self) -> list[list[str]]:
        """The labels of each image as a list, whatever the task."""
        return self.labels if self.multilabel else [[label] for label in self.labels]

    @property
    def targets(self) -> npt.NDArray[Any]:
        """Labels as indices into `classes`, int64 (N,); with several per image 0, 1 or NaN (unknown), float32 (N, K).

        Raises DataError for a label that is not one of the classes.
        """
        if not self.multilabel:
            return self._indices(self.table.column("label").cast(pa.string())).astype(np.int64)
        matrix = np.full((len(self), len(self.classes)), np.nan if self.has("absent") else 0, dtype=np.float32)
        for name, value in (("absent", 0), ("unknown", np.nan), ("label", 1)):
            if self.has(name):
                matrix[self._cells(name)] = value
        return matrix

    @property
    def unknown(self) -> list[list[str]]:
        """The classes of which nobody knows whether each image shows them; with one label per image none."""
        if not self.multilabel:
            return [[]] * len(self)
        names = np.array(self.classes, dtype=object)
        return [names[row].tolist() for row in np.isnan(self.targets)]

    def _cells(self, name: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Rows and class indices of everything that a column of lists names."""
        lists = self.table.column(name).cast(pa.list_(pa.string())).combine_chunks()
        return pc.list_parent_indices(lists).to_numpy(zero_copy_only=False), self._indices(pc.list_flatten(lists))

    def _indices(self, names: Any) -> npt.NDArray[Any]:
        found = pc.index_in(names, pa.array(self.classes, pa.string()))
        if found.null_count:
            strange = names.filter(found.is_null())[0].as_py()
            raise DataError(f"the label {strange!r} is not one of the classes {', '.join(self.classes[:5])}.")
        indices: npt.NDArray[Any] = found.to_numpy(zero_copy_only=False) if len(found) else np.zeros(0, dtype=np.int64)
        return indices

    def column(self, name: str) -> list[Any]:
        """The values of one column as a list."""
        if name not in self.table.column_names:
            raise DataError(f"the dataset has no column {name!r}; it has {', '.join(self.table.column_names)}.")
        values: list[Any] = self.table.column(name).to_pylist()
        return values

    def has(self, name: str) -> bool:
        """Whether the column is there."""
        return name in self.table.column_names

    @property
    def metadata(self) -> list[str]:
        """The columns with one value per image that say something else of it, such as `time`, a place or a camera."""
        fields = (field for field in self.table.schema if field.name not in NO_METADATA)
        return [field.name for field in fields if not pa.types.is_nested(field.type) and not _is_binary(field.type)]

    def with_column(self, name: str, values: Sequence[Any]) -> "Dataset":
        """The same rows with the column `name` added or replaced."""
        array = pa.array(list(values))
        if name in self.table.column_names:
            position = self.table.column_names.index(name)
            return replace(self, table=self.table.set_column(position, name, array))
        return replace(self, table=self.table.append_column(name, array))

    def take(self, rows: Iterable[int]) -> "Dataset":
        """The rows at these positions, in this order."""
        return replace(self, table=self.table.take(pa.array(list(rows), type=pa.int64())))

    def split(self, name: str) -> "Dataset":
        """The rows of one split; an empty dataset when there are none."""
        if not self.has("split"):
            return self.take([])
        return self.take(row for row, value in enumerate(self.column("split")) if value == name)

    def without(self, excluded: Sequence[Excluded]) -> "Dataset":
        """The dataset less these files, each remembered with its label, split, metadata and reason."""
        gone = {entry.path: entry for entry in excluded}
        rows = [row for row, path in enumerate(self.ids) if path in gone]
        lost = self.take(rows)
        splits = lost.column("split") if self.has("split") else [None] * len(rows)
        names = [*self.metadata, *(["group"] if self.has("group") else [])]
        columns = {name: lost.column(name) for name in names}
        facts = [
            tuple((name, values[row]) for name, values in columns.items() if values[row] is not None)
            for row in range(len(rows))
        ]
        remembered = tuple(
            Excluded(path, gone[path].reason, join_cell(label) if isinstance(label, list) else label, split, known)
            for path, label, split, known in zip(lost.ids, lost.labels, splits, facts, strict=True)
        )
        kept = self.take(row for row, path in enumerate(self.ids) if path not in gone)
        return replace(kept, excluded=self.excluded + remembered)

    def with_unreadable(self, split: str) -> "Dataset":
        """These rows and, after them, the files of a given split that were left out because they cannot be read.

        They are part of what a classifier is judged on, which can then only be wrong about them.
        """
        rows = [
            dict(entry.facts) | {"path": entry.path, "label": label, "split": split}
            for entry in self.excluded
            if entry.split == split and (label := self._label_of(entry)) is not None
        ]
        if not rows:
            return self
        columns = {
            field.name: pa.array([_as(row.get(field.name), field.type) for row in rows], field.type)
            for field in self.table.schema
        }
        return replace(self, table=pa.concat_tables([self.table, pa.table(columns)]))

    def _label_of(self, entry: Excluded) -> Any:
        """The label of what was left out, as the column has it; None where it has none among the classes."""
        if entry.label is None:
            return None
        names = split_cell(entry.label) if self.multilabel else [entry.label]
        if not set(names) <= set(self.classes):
            return None
        return names if self.multilabel else names[0]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all that the manifest says of every row, and the taxonomy; independent of row order."""
        names = [name for name in (*MANIFEST, *MANIFEST_IF_PRESENT) if self.has(name)]
        columns = [map(_comparable, self.column(name)) for name in names]
        rows = sorted(map(repr, zip(*columns, strict=True)))
        groups = [f"taxonomy {sorted(self.taxonomy.items())}"] if self.taxonomy else []
        return hashlib.sha256("\n".join([",".join(names), *rows, *groups]).encode()).hexdigest()

    def manifest(self, also: Sequence[str] = (), *, guard_formulas: bool = True) -> str:
        """CSV of every file seen, used or not, and why not.

        The header is `path,label,split,group,sha256`, then `time`, `unknown`, `absent` and the columns `also` where
        the dataset has them, then `excluded`. Several names in a cell are joined as `split_cell` takes them apart. With
        `guard_formulas` an apostrophe stands before cells that a spreadsheet would run; `read` drops it again.
        """
        further = dict.fromkeys((*MANIFEST_IF_PRESENT, *also))
        names = [*MANIFEST, *(name for name in further if self.has(name))]
        columns = [map(_cell, self.column(name)) if self.has(name) else [""] * len(self) for name in names]
        columns[1] = map(join_cell if self.multilabel else escape, self.labels)
        rows = [[*names, "excluded"], *([*row, ""] for row in zip(*columns, strict=True))]
        for entry in self.excluded:
            label = entry.label or ""
            left = [entry.path, label if self.multilabel else escape(label), entry.split or ""]
            facts = dict(entry.facts)
            rows.append([*left, *(_cell(facts.get(name)) for name in names[3:]), entry.reason])
        return as_csv(rows, guard_formulas=guard_formulas)


def _as(value: Any, kind: pa.DataType) -> Any:
    """A value as a column of this kind takes it: as text where others of the table made it one of texts."""
    return str(value) if value is not None and pa.types.is_string(kind) else value


def _is_binary(kind: pa.DataType) -> bool:
    return any(
        is_kind(kind) for is_kind in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    )


def _comparable(value: Any) -> Any:
    if value is None:
        return None
    return tuple(sorted(value)) if isinstance(value, list) else str(value)


def _cell(value: Any) -> str:
    if value is None or value == []:
        return ""
    return join_cell([str(name) for name in value]) if isinstance(value, list) else str(value)
