"""`convert`: any source as a folder with a manifest, or as shards."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linnaea.data.sources import read
from linnaea.data.writers import WRITERS
from linnaea.dataset import SPLITS, Dataset
from linnaea.errors import DataError, UsageError
from linnaea.runtime.files import whole_folder

IMAGES_PER_SHARD = 10_000


def convert(
    data: Any,
    out: str | Path,
    *,
    to: str = "folder",
    split: str | Sequence[str] | None = None,
    images_per_shard: int = IMAGES_PER_SHARD,
) -> Dataset:
    """Write labelled images in another form into the folder `out`, and return the dataset that is read from there.

    `data` is what `linnaea.read` takes, or a dataset. `to` is "folder" (image files and a manifest) or "shards" (tar
    files of at most `images_per_shard` images). `split` names the splits to take, all by default. The bytes of the
    images are copied as they are. `out` is there only once it is whole. Raises UsageError where it holds anything.
    """
    writer = WRITERS[to]
    if images_per_shard < 1:
        raise UsageError(f"images_per_shard is {images_per_shard}; expected 1 or more.")
    dataset = _of_splits(data if isinstance(data, Dataset) else read(data), split)
    with whole_folder(Path(out)) as partial:
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
