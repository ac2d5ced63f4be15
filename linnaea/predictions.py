"""Predictions: a table with a row per image, from which every figure is computed."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from linnaea.errors import DataError, RunError
from linnaea.runtime.checksums import keep_checksum, require_unchanged
from linnaea.runtime.files import write_atomically
from linnaea.runtime.neutral import neutral
from linnaea.task import TASKS, Task
from linnaea.taxonomy import Taxonomy

ANSWER = ("id", "label", "confidence", "prediction_set", "ood_score", "reason", "detail")
UNCERTAINTY = ("total_uncertainty", "aleatoric_uncertainty", "epistemic_uncertainty")
REASONS = ("ok", "unsure", "unfamiliar", "damaged", "unreadable", "undefined")
WIDE = ("raw_scores", "logits", "probabilities")
OWN = (*ANSWER, *UNCERTAINTY, *WIDE, "truth", "unknown", "group")  # columns that mean something here
AT_ONCE = 2**20  # numbers of a wide column that are looked at together


@dataclass(frozen=True)
class Predictions:
    """What a classifier said about each image.

    `table` has the columns `id`, `truth` (null when there is none), `raw_scores`, as the scorer gave them, calibrated
    `logits` and `probabilities` (lists of K floats in the order of `classes`, that of the classifier's bundle; null
    where there is no answer), `label`, `confidence`, `prediction_set` (list of labels), `ood_score`, `reason` (one of
    `REASONS`), `detail` (why an image has no answer, or is damaged), `group` where the data has groups, and the
    metadata of the data. Where several members answered, the columns of `UNCERTAINTY` are in nats, total = aleatoric +
    epistemic. Where an image may carry several labels, `truth` and `label` hold lists, and `unknown` the
    classes that nobody knows to be there or not. Where classes lie below groups, `taxonomy` maps each to the group
    above it, and `label` may be a group. Of predictions that were only opened, those lists are read from the file
    `source` when asked for.
    """

    table: pa.Table
    classes: tuple[str, ...]
    task: str
    taxonomy: Mapping[str, str] = field(default_factory=dict)
    source: Path | None = None

    @classmethod
    def from_columns(
        cls,
        columns: dict[str, Sequence[Any]],
        classes: tuple[str, ...],
        task: str,
        taxonomy: Mapping[str, str] | None = None,
    ) -> "Predictions":
        """Build from columns given as sequences; those of scores are arrays (N, K), NaN where unread."""
        arrays = {name: _as_array(name, values, len(classes)) for name, values in columns.items()}
        return cls(pa.table(arrays), classes, task, dict(taxonomy or {}))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """The answer for one image: the columns of `answer_columns` by name."""
        answer: dict[str, Any] = self.table.select(self.answer_columns).slice(range(len(self))[row], 1).to_pylist()[0]
        return answer

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The answers in order."""
        return iter(self.table.select(self.answer_columns).to_pylist())

    @property
    def answer_columns(self) -> list[str]:
        """The columns of `ANSWER` and, where several members answered, those of `UNCERTAINTY`."""
        return [*ANSWER, *(name for name in UNCERTAINTY if name in self.table.column_names)]

    def __str__(self) -> str:
        header = ["image", "label", "confidence", "set", "ood score", "reason"]
        lines = [header, *(_as_cells(answer) for answer in self)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
        padded = (
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )
        return "\n".join(padded)

    @property
    def rules(self) -> Task:
        """The task's rules, by name from the registry."""
        return TASKS[self.task]

    @cached_property
    def tree(self) -> Taxonomy:
        """The tree over the classes; without a taxonomy all of them lie below its root."""
        return Taxonomy.of(self.classes, self.taxonomy)

    def with_table(self, table: pa.Table) -> "Predictions":
        """The same with other rows or columns; raises DataError for predictions that were only opened."""
        if self.source is not None:
            raise DataError(f"the predictions of {self.source} are read-only: change what `loaded()` returns.")
        return replace(self, table=table)

    def with_reason(self, name: str, details: Mapping[int, str]) -> "Predictions":
        """The same with another reason for the answers at some positions, and its details."""
        if not details:
            return self
        reasons, said = self.column("reason"), self.column("detail")
        table = self.table
        for column, values in (
            ("reason", [name if row in details else reason for row, reason in enumerate(reasons)]),
            ("detail", [details.get(row, detail) for row, detail in enumerate(said)]),
        ):
            place = table.column_names.index(column)
            table = table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))
        return self.with_table(table)

    def loaded(self) -> "Predictions":
        """The same with all columns in memory."""
        return self if self.source is None else Predictions.read(self.source)

    def column(self, name: str) -> list[Any]:
        """The values of one column as a list."""
        if name not in self.table.column_names:
            raise DataError(f"the predictions have no column {name!r}; they have {', '.join(self.table.column_names)}.")
        values: list[Any] = self.table.column(name).to_pylist()
        return values

    def require_once(self) -> None:
        """Raise DataError where an image has more than one row: it would count more than once."""
        ids = self.table.column("id")
        rows = pc.value_counts(ids)
        several = rows.filter(pc.greater(rows.field("counts"), 1))
        if len(several):
            repeated = int(pc.sum(several.field("counts")).as_py()) - len(several)
            raise DataError(
                f"the predictions have {repeated} ids more than once (first {several.field('values')[0].as_py()!r}): "
                "keep one row each."
            )

    def rows(self, places: Sequence[int] | npt.NDArray[np.int64], *names: str) -> list[dict[str, Any]]:
        """Some columns of some images, a dictionary for each."""
        told: list[dict[str, Any]] = self.table.select(list(names)).take(pa.array(places, pa.int64())).to_pylist()
        return told

    def has(self, name: str) -> bool:
        """Whether there is a column of this name."""
        if self.source is None or name not in WIDE:
            return name in self.table.column_names
        with _opened(self.source) as file:
            return name in file.schema_arrow.names

    def scores(self, name: str = "probabilities") -> npt.NDArray[np.float64]:
        """`probabilities` or other scores as an array (N, K); rows of unreadable images are NaN."""
        if self.source is None:
            return self._matrix_of(self.table.column(name).combine_chunks())
        with _opened(self.source) as file:
            return self._matrix_of(file.read([name]).column(name).combine_chunks())

    def score_parts(self, *names: str) -> Iterator[tuple[npt.NDArray[np.float64], ...]]:
        """The same of several columns, some rows (b, K) after the other."""
        rows = max(1, AT_ONCE // max(1, len(self.classes)))
        if self.source is None:
            whole = self.table.select(list(names))
            for start in range(0, len(self), rows):
                part = whole.slice(start, rows).combine_chunks()
                yield tuple(self._matrix_of(_whole(part.column(name))) for name in names)
            return
        try:
            with _opened(self.source) as file:
                for batch in _ahead(file.iter_batches(rows, columns=list(names), use_threads=False)):
                    yield tuple(self._matrix_of(batch.column(name)) for name in names)
        except (pa.ArrowException, OSError) as error:
            raise RunError(f"{self.source} is damaged ({error}): evaluate the run again.") from None

    def _matrix_of(self, column: pa.Array) -> npt.NDArray[np.float64]:
        flat = column.flatten().to_numpy(zero_copy_only=False) if len(column) else np.zeros(0)
        if len(flat) != (len(column) - column.null_count) * len(self.classes):
            raise DataError(
                f"there is not one score for each of {len(self.classes)} classes: the predictions were changed."
            )
        if not column.null_count:
            return flat.reshape(-1, len(self.classes)).astype(np.float64)
        values = np.full((len(column), len(self.classes)), np.nan)
        values[column.is_valid().to_numpy(zero_copy_only=False)] = flat.reshape(-1, len(self.classes))
        return values

    @property
    def targets(self) -> npt.NDArray[Any]:
        """Truth as class indices int64 (N,); of several labels 0, 1 or NaN (unknown), float32 (N, K).

        Raises DataError where an image has no truth.
        """
        if not self.rules.multilabel:
            return self._indices("truth")
        matrix = self._matrix("truth")
        if self.has("unknown"):
            matrix[self._matrix("unknown") == 1] = np.nan
        return matrix

    @property
    def answers(self) -> npt.NDArray[Any]:
        """Answers as class indices (N,), -1 for an unreadable image; of several labels 0 or 1, NaN there, (N, K).

        Where an answer may be a group, they are the most probable classes all the same.
        """
        if self.rules.multilabel:
            return np.where(self.readable[:, None], self._matrix("label", empty=True), np.nan)
        if self.rules.hierarchical:
            best = np.nan_to_num(self.scores(), nan=-1.0).argmax(axis=1)
            return np.where(self.readable, best, -1)
        return self._places("label")

    def _indices(self, name: str) -> npt.NDArray[np.int64]:
        places = self._places(name)
        if (places < 0).any():
            self._require_known(self.table.column(name).filter(pa.array(places < 0)).to_pylist())
        return places

    def _places(self, name: str) -> npt.NDArray[np.int64]:
        """The place among the classes of each value of a column of strings (N,), -1 for any other."""
        found = pc.index_in(self.table.column(name), value_set=pa.array(self.classes, pa.string()))
        places: npt.NDArray[np.int64] = pc.fill_null(found, -1).to_numpy().astype(np.int64)
        return places

    def _matrix(self, name: str, *, empty: bool = False) -> npt.NDArray[np.float32]:
        """A column of lists as 0 and 1 (N, K); `empty` says that null means none."""
        index = {label: number for number, label in enumerate(self.classes)}
        matrix = np.zeros((len(self), len(index)), dtype=np.float32)
        lists = self.column(name)
        if not empty:
            self._require_known(None for labels in lists if labels is None)
        self._require_known(label for labels in lists for label in labels or () if label not in index)
        cells = [(row, index[label]) for row, labels in enumerate(lists) for label in labels or ()]
        if cells:
            matrix[tuple(np.array(cells).T)] = 1
        return matrix

    def _require_known(self, strange: Iterable[str | None]) -> None:
        unknown = list(strange)
        if unknown:
            raise DataError(f"{len(unknown)} images have no truth among the classes: first {unknown[0]!r}.")

    @property
    def readable(self) -> npt.NDArray[np.bool_]:
        """Whether each image could be read and what the model said of it is a number (N,)."""
        return ~(self.answered("unreadable") | self.answered("undefined"))

    def answered(self, reason: str) -> npt.NDArray[np.bool_]:
        """Whether each answer has this reason, one of `REASONS` (N,)."""
        flags: npt.NDArray[np.bool_] = pc.fill_null(pc.equal(self.table.column("reason"), reason), False).to_numpy()
        return flags

    def keep(self, path: Path) -> Path:
        """Write it, and its SHA-256 into the file `SHA256SUMS` beside it, by which `read` and `open` know it again."""
        return keep_checksum(self.write(path))

    def write(self, path: Path) -> Path:
        """Write as Parquet, with the classes, the task and the taxonomy in the file's metadata; atomic.

        The classes, in the order of the scores, also stand as a JSON list under the key `classes`, for other readers.
        """
        facts = {"classes": self.classes, "task": self.task, "taxonomy": dict(self.taxonomy)}
        metadata = {b"linnaea": json.dumps(facts).encode(), b"classes": json.dumps(self.classes).encode()}
        table = self.loaded().table.replace_schema_metadata(metadata)
        rows = max(1, AT_ONCE // max(1, len(self.classes)))
        return write_atomically(
            path, lambda partial: pq.write_table(table, partial, compression="zstd", row_group_size=rows)
        )

    @classmethod
    def read(cls, path: Path) -> "Predictions":
        """Read what `write` wrote; raises RunError when the file is absent, cut off, changed or of another kind."""
        return cls._from_file(path, WIDE)

    @classmethod
    def open(cls, path: Path) -> "Predictions":
        """The same, but scores and probabilities stay in the file until they are asked for, part by part."""
        return replace(cls._from_file(path, ()), source=path)

    @classmethod
    def _from_file(cls, path: Path, wide: Sequence[str]) -> "Predictions":
        """With all columns but those of `WIDE` that are not among `wide`."""
        require_unchanged(path)
        try:
            with _opened(path) as file:
                names = file.schema_arrow.names
                table = file.read([name for name in names if name not in WIDE or name in wide])
        except FileNotFoundError:
            raise RunError(f"{path} does not exist: evaluate the run first.") from None
        except (pa.ArrowException, OSError) as error:
            raise RunError(f"{path} is not a readable Parquet file ({error}): evaluate the run again.") from None
        facts = (table.schema.metadata or {}).get(b"linnaea")
        if facts is None:
            raise RunError(f"{path} is not a Linnaea predictions file: expected a file written by `linnaea evaluate`.")
        try:
            content = json.loads(facts)
            classes, task, taxonomy = tuple(content["classes"]), content["task"], content.get("taxonomy", {})
            known = task in TASKS and all(isinstance(name, str) for name in classes) and isinstance(taxonomy, dict)
        except (ValueError, LookupError, TypeError, AttributeError):
            known = False
        if not known:
            raise RunError(f"the classes and the task in {path} cannot be read: evaluate the run again.")
        return cls(table, classes, task, taxonomy)


def _opened(path: Path) -> Any:
    """A Parquet file that is read part by part: without a buffer before it, which would hold all of it at once."""
    return pq.ParquetFile(path, pre_buffer=False)


def _ahead(batches: Iterator[Any]) -> Iterator[Any]:
    """The same batches; the next is decoded while one is worked on."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = pool.submit(next, batches, None)
            yield batch


def _whole(column: Any) -> pa.Array:
    """A column of a table or of a batch as one array."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _as_cells(answer: dict[str, Any]) -> list[str]:
    cells = [
        answer["id"],
        label_text(answer["label"]),
        "-" if answer["confidence"] is None else f"{answer['confidence']:.3f}",
        ", ".join(answer["prediction_set"] or ()) or "-",
        "-" if answer["ood_score"] is None else f"{answer['ood_score']:.2f}",
        answer["reason"] + (f": {answer['detail']}" if answer["detail"] else ""),
    ]
    return list(map(neutral, cells))


def label_text(label: Any) -> str:
    """A label as a person reads it; several, of which there may be none, on one line."""
    return (", ".join(label) or "none of them") if isinstance(label, list) else label or "-"


def _as_array(name: str, values: Sequence[Any], classes: int) -> pa.Array:
    if name in WIDE:
        scores = np.asarray(values, dtype=np.float32).reshape(-1, classes)
        unread = np.isnan(scores).any(axis=1)
        return pa.FixedSizeListArray.from_arrays(pa.array(scores.ravel()), classes, mask=pa.array(unread))
    if name in ("prediction_set", "unknown") or any(isinstance(value, list) for value in values):
        return pa.array(values, type=pa.list_(pa.string()))
    if name in ("confidence", "ood_score", *UNCERTAINTY):
        numbers = np.asarray(values, dtype=np.float32)
        return pa.array(numbers, mask=np.isnan(numbers))
    array = pa.array(values)
    return array.cast(pa.string()) if pa.types.is_null(array.type) else array
