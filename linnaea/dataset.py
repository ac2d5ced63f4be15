"""A dataset: an immutable table with a row per image, and what was left out."""

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from linnaea.errors import DataError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Excluded:
    """A file that is not used, and why."""

    path: str
    reason: str
    label: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class Dataset:
    """Images with their labels and metadata, one table row each.

    `table` has the columns `path` (relative to `root`, with forward slashes) and `label`, and any of `split`
    (train, val, test), `group`, `time`, `sha256` and further metadata. `classes` is the order of the classes by
    name; `task` a name in `linnaea.task.TASKS`. Rows keep the order of their paths, whatever the file system says.
    """

    table: pa.Table
    classes: tuple[str, ...]
    task: str
    root: Path
    excluded: tuple[Excluded, ...] = ()

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def ids(self) -> list[str]:
        """The `path` column: what identifies an image in manifests and predictions."""
        return self.column("path")

    @property
    def paths(self) -> list[Path]:
        """Where the image files are."""
        return [self.root / path for path in self.ids]

    @property
    def labels(self) -> list[str]:
        """The `label` column."""
        return self.column("label")

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """Labels as indices into `classes`, shape (N,)."""
        index = {name: number for number, name in enumerate(self.classes)}
        return np.array([index[label] for label in self.labels], dtype=np.int64)

    def column(self, name: str) -> list[Any]:
        """The values of one column as a list."""
        if name not in self.table.column_names:
            raise DataError(f"the dataset has no column {name!r}; it has {', '.join(self.table.column_names)}.")
        values: list[Any] = self.table.column(name).to_pylist()
        return values

    def has(self, name: str) -> bool:
        """Whether the column is there."""
        return name in self.table.column_names

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
        """The dataset less these files, each remembered with its label, split and reason."""
        gone = {entry.path: entry for entry in excluded}
        labels, splits = self.labels, self.column("split") if self.has("split") else [None] * len(self)
        remembered = tuple(
            Excluded(path, gone[path].reason, label, split)
            for path, label, split in zip(self.ids, labels, splits, strict=True)
            if path in gone
        )
        kept = self.take(row for row, path in enumerate(self.ids) if path not in gone)
        return replace(kept, excluded=self.excluded + remembered)

    def with_unreadable(self, split: str) -> "Dataset":
        """These rows and, after them, the files of a given split that were left out because they cannot be read.

        They are part of what a classifier is judged on, which can then only be wrong about them.
        """
        lost = [entry for entry in self.excluded if entry.split == split and entry.label in self.classes]
        if not lost:
            return self
        rows = [{"path": entry.path, "label": entry.label, "split": split} for entry in lost]
        columns = {
            field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in self.table.schema
        }
        return replace(self, table=pa.concat_tables([self.table, pa.table(columns)]))

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every row's path, label, split, group and content hash, independent of row order."""
        names = [name for name in ("path", "label", "split", "group", "sha256") if self.has(name)]
        rows = sorted(repr(tuple(row[name] for name in names)) for row in self.table.select(names).to_pylist())
        return hashlib.sha256("\n".join([",".join(names), *rows]).encode()).hexdigest()

    def manifest(self) -> str:
        """CSV with the header `path,label,split,group,sha256,excluded`: every file seen, used or not, and why not."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        names = ["path", "label", "split", "group", "sha256"]
        writer.writerow([*names, "excluded"])
        for row in self.table.to_pylist():
            writer.writerow([*(row.get(name) or "" for name in names), ""])
        for entry in self.excluded:
            writer.writerow([entry.path, entry.label or "", entry.split or "", "", "", entry.reason])
        return out.getvalue()
