"""The contract of a writer: a dataset copied into a folder of another form."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from linnaea.data.images.opening import UnreadableError
from linnaea.data.images.pixels import read_content
from linnaea.data.sources.taxonomy import COLUMNS, NAME
from linnaea.dataset import LISTS, MANIFEST, MANIFEST_IF_PRESENT, Dataset, Excluded
from linnaea.registry import Registry
from linnaea.runtime.cells import as_csv
from linnaea.runtime.files import write_text
from linnaea.runtime.progress import track

SOURCE = "source"  # the column that says where an image came from


@dataclass(frozen=True)
class Writer:
    """`write(dataset, folder, most)` fills an empty folder and returns the dataset that lies there.

    The bytes of every image are copied as they are. `most` is how many images one file may hold.
    """

    write: Callable[[Dataset, Path, int], Dataset]


WRITERS: Registry[Writer] = Registry(
    "form to convert to", "linnaea.data.writers", title="Forms to convert to", use="Chosen with `linnaea convert --to`."
)


@dataclass
class Copies:
    """The images of a dataset one after the other; remembers their new paths, their hashes, and what was lost."""

    dataset: Dataset
    paths: list[str] = field(default_factory=list)
    _kept: list[int] = field(default_factory=list)
    _hashes: list[str] = field(default_factory=list)
    _lost: list[Excluded] = field(default_factory=list)

    def each(self) -> Iterator[tuple[int, bytes]]:
        """The row and the bytes of each image that can be read; the caller appends its new path to `paths`."""
        located = self.dataset.paths
        for row, name in enumerate(track(self.dataset.ids, "converting", len(located))):
            try:
                content = read_content(located[row])
            except UnreadableError as error:
                self._lost.append(Excluded(name, str(error)))
                continue
            self._kept.append(row)
            self._hashes.append(hashlib.sha256(content).hexdigest())
            yield row, content

    def written(self, root: Path) -> Dataset:
        """The dataset of the copies, with where each came from in the column `source`; writes its tables."""
        kept = self.dataset.without(self._lost)
        if not kept.has(SOURCE):
            kept = kept.with_column(SOURCE, kept.ids)
        copied = replace(kept.with_column("path", self.paths).with_column("sha256", self._hashes), root=root)
        also = [name for name in copied.table.column_names if name not in (*MANIFEST, *MANIFEST_IF_PRESENT)]
        write_text(root / "manifest.csv", copied.manifest(also))
        if copied.taxonomy:
            write_text(root / NAME, as_csv([COLUMNS, *copied.taxonomy.items()]))
        return copied


def facts_of(dataset: Dataset) -> list[dict[str, Any]]:
    """What is known of each image apart from its path and hash: text as text, lists as lists, nothing that is empty."""
    names = [name for name in dataset.table.column_names if name not in ("path", "label", "sha256")]
    rows = dataset.table.select(names).to_pylist()
    return [{name: _plain(name, value) for name, value in row.items() if value not in (None, [])} for row in rows]


def _plain(name: str, value: Any) -> Any:
    return list(map(str, value)) if name in LISTS and isinstance(value, list) else str(value)
