"""Sources: every form that a set of labelled images comes in, read to a `Dataset`.

A source is registered with two functions: `detects(given)` says whether what was given looks like its form,
`read(given)` returns the dataset. `read` tries them in order of registration.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.data.sources import (
    archives,
    cifar,
    coco,
    folders,
    hub_metadata,
    hub_objects,
    idx,
    imagenet,
    named,
    open_images,
    shards,
    svhn,
    table,
    voc,
)
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError
from linnaea.registry import Registry


@dataclass(frozen=True)
class Source:
    """One form of data: `detects` answers quickly, from names or a first line; `read` makes the dataset.

    Where the images lie in no files of their own, `writes` says that `read` also takes the folder to write them into.
    """

    detects: Callable[[Any], bool]
    read: Callable[..., Dataset]
    writes: bool = False


SOURCES: Registry[Source] = Registry("source")
SOURCES.register("datasets object")(Source(hub_objects.detects, hub_objects.read, writes=True))
SOURCES.register("name")(Source(named.detects, named.read, writes=True))
SOURCES.register("Open Images")(Source(open_images.detects, open_images.read))
SOURCES.register("table")(Source(table.detects, table.read))
SOURCES.register("COCO")(Source(coco.detects, coco.read))
SOURCES.register("Pascal VOC")(Source(voc.detects, voc.read))
SOURCES.register("IDX")(Source(idx.detects, idx.read))
SOURCES.register("CIFAR")(Source(cifar.detects, cifar.read))
SOURCES.register("SVHN")(Source(svhn.detects, svhn.read))
SOURCES.register("ImageNet")(Source(imagenet.detects, imagenet.read))
SOURCES.register("shards")(Source(shards.detects, shards.read))
SOURCES.register("archive")(Source(archives.detects, archives.read))
SOURCES.register("metadata in split folders")(Source(hub_metadata.detects, hub_metadata.read))
SOURCES.register("split folders")(Source(folders.detects_splits, folders.read_splits))
SOURCES.register("class folders")(Source(folders.detects_classes, folders.read_classes))


def read(source: Any, *, folder: str | Path | None = None) -> Dataset:
    """Read labelled images from a folder, a table, an archive, a native format, a name, or an object of `datasets`.

    Every form is listed in the documentation under "What can be read". Nothing is decoded here. Hidden files and files
    that are no images are left out and listed in `Dataset.excluded`. `folder` is only for forms whose images lie in no
    files: where they are written to. Raises DataError when there are no labelled images.
    """
    given = Path(source) if isinstance(source, str) else source
    form = find_source(given)
    if folder is None:
        return form.read(given)
    if form.writes:
        return form.read(given, Path(folder))
    raise UsageError(f"{source} is already on disk: leave `folder` out, or use linnaea.convert.")


def find_source(given: Any) -> Source:
    """The form that a path or an object has, found quickly; raises DataError where it has none."""
    for _, form in SOURCES.items():
        if (isinstance(given, Path) or form.writes) and form.detects(given):
            return form
    raise DataError(_unknown(given))


def _unknown(given: Any) -> str:
    if not isinstance(given, Path):
        return (
            f"a {type(given).__name__} cannot be read: expected a path, a name such as torchvision:MNIST, "
            "or a Dataset of the library `datasets`."
        )
    if not given.exists():
        return f"{given} does not exist: expected a folder of images, or a CSV or Parquet file."
    return (
        f"{given} contains no labelled images: expected a folder per class (photos/cat/1.jpg), train/ and val/ folders "
        "with a folder per class, or a CSV file with the columns path,label."
    )
