"""Sources: every form that a set of labelled images comes in, read to a `Dataset`.

A source is registered with two functions: `detects(path)` says whether the path looks like its form, `read(path)`
returns the dataset. `read` tries them in order of registration.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from linnaea.data.sources import folders, table
from linnaea.dataset import Dataset
from linnaea.errors import DataError
from linnaea.registry import Registry


@dataclass(frozen=True)
class Source:
    """One form of data: `detects` answers quickly and from names alone, `read` makes the dataset."""

    detects: Callable[[Path], bool]
    read: Callable[[Path], Dataset]


SOURCES: Registry[Source] = Registry("source")
SOURCES.register("table")(Source(table.detects, table.read))
SOURCES.register("split folders")(Source(folders.detects_splits, folders.read_splits))
SOURCES.register("class folders")(Source(folders.detects_classes, folders.read_classes))


def read(source: str | Path) -> Dataset:
    """Read labelled images from class folders, train/val/test folders, or a CSV or Parquet file of paths.

    Nothing is decoded here. Hidden files and files that are no images are left out and listed in
    `Dataset.excluded`. Raises DataError when the path holds no labelled images.
    """
    path = Path(source)
    if not path.exists():
        raise DataError(f"{path} does not exist: expected a folder of images or a CSV or Parquet file.")
    for _, form in SOURCES.items():
        if form.detects(path):
            return form.read(path)
    raise DataError(
        f"{path} holds no labelled images: expected a folder per class (photos/cat/1.jpg), train/ and val/ folders "
        "with a folder per class, or a CSV file with the columns path,label."
    )
