"""Reading what somebody gave: the first form that it looks like reads it."""

from pathlib import Path
from typing import Any

from linnaea.data.sources.contract import SOURCES, Source
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError


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
