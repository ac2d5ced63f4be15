"""WebDataset shards: tar files with `key.jpg` and `key.json` for each image.

<https://github.com/webdataset/webdataset>
"""

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from linnaea.data.sources.assembling import SUFFIXES
from linnaea.data.writers.contract import WRITERS, Copies, Writer, facts_of
from linnaea.dataset import Dataset
from linnaea.runtime.containers import MARK
from linnaea.runtime.images import suffix_of


class _Shards:
    """The tar file of each split that is being filled, and how many images it holds."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most
        self.open: dict[str, tarfile.TarFile] = {}
        self.filled: dict[str, int] = {}

    def add(self, split: str, parts: dict[str, bytes]) -> str:
        """Add the parts of one image to the shard of its split; returns the shard's name."""
        count = self.filled.get(split, 0)
        name = f"{split}-{count // self.most:06}.tar"
        if count % self.most == 0:
            self.close(split)
            self.open[split] = tarfile.open(self.folder / name, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        for inner, content in parts.items():
            entry = tarfile.TarInfo(inner)  # of no time and no owner, so that the same images give the same bytes
            entry.size = len(content)
            self.open[split].addfile(entry, io.BytesIO(content))
        self.filled[split] = count + 1
        return name

    def close(self, split: str) -> None:
        """Finish the shard of a split."""
        if split in self.open:
            self.open.pop(split).close()


@contextmanager
def _shards(folder: Path, most: int) -> Iterator[_Shards]:
    shards = _Shards(folder, most)
    try:
        yield shards
    finally:
        for split in list(shards.open):
            shards.close(split)


def write(dataset: Dataset, folder: Path, most: int) -> Dataset:
    """Tar files of at most so many images, `train-000000.tar`, labels as JSON beside each image; and `manifest.csv`."""
    copies, facts, labels, ids = Copies(dataset), facts_of(dataset), dataset.labels, dataset.ids
    with _shards(folder, most) as shards:
        for row, content in copies.each():
            key, suffix = f"{row:08}", PurePosixPath(ids[row].rpartition(MARK)[2] or ids[row]).suffix.lower()
            image = key + (suffix if suffix in SUFFIXES else suffix_of(content) or ".img")
            about = {"labels" if dataset.multilabel else "label": labels[row], **facts[row], "source": ids[row]}
            shard = shards.add(facts[row].get("split", "images"), {image: content, f"{key}.json": _json(about)})
            copies.paths.append(f"{shard}{MARK}{image}")
    return copies.written(folder)


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


WRITERS.register(
    "shards",
    title="Shards",
    meaning="Tar files of at most so many images, labels as JSON beside each image; and `manifest.csv`.",
)(Writer(write))
