"""Any source as a folder with a manifest, or as shards."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linnaea.data.sources import read
from linnaea.data.writers import WRITERS
from linnaea.dataset import SPLITS, Dataset
from linnaea.errors import DataError, UsageError
from linnaea.runtime.files import whole_folder


def converted(data: Any, out: Path, *, to: str, split: str | Sequence[str] | None, images_per_shard: int) -> Dataset:
    """The dataset that is read from `out` after `data` was written there; see `linnaea.convert`."""
    writer = WRITERS[to]
    dataset = _of_splits(data if isinstance(data, Dataset) else read(data), split)
    with whole_folder(out) as partial:
        writer.write(dataset, partial, images_per_shard)
    return read(out)


def _of_splits(dataset: Dataset, split: str | Sequence[str] | None) -> Dataset:
    if split is None:
        return dataset
    names = [split] if isinstance(split, str) else list(split)
    strange = [name for name in names if name not in SPLITS]
    if strange:
        raise UsageError(f"the split is {strange[0]!r}; expected {', '.join(SPLITS)}.")
    if not dataset.has("split"):
        raise DataError(f"{dataset.root} has no splits: leave --split out, or split the data first.")
    chosen = dataset.take(row for row, name in enumerate(dataset.column("split")) if name in names)
    if not len(chosen):
        raise DataError(f"{dataset.root} has no image in {', '.join(names)}.")
    return chosen
