"""`read`: labelled images as a dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import Option
from linnaea.verbs.contract import VERBS

if TYPE_CHECKING:
    from linnaea.dataset import Dataset


@VERBS.register(
    "read", title="Read", meaning="Labelled images, in any supported form, as a dataset.", order=8, command=False
)
def read(
    source: Annotated[
        Any, Option("A folder, a table, an archive, a native format, a name, or an object of `datasets`.")
    ],
    *,
    folder: Annotated[str | Path | None, Option("Where to write images that lie in no files of their own.")] = None,
) -> "Dataset":
    """Read labelled images from a folder, a table, an archive, a native format, a name, or an object of `datasets`.

    Every form is listed in the documentation under "What can be read". Nothing is decoded here. Hidden files and files
    that are no images are left out and listed in `Dataset.excluded`. `folder` is only for forms whose images lie in no
    files: where they are written to. Raises DataError when there are no labelled images.
    """
    from linnaea.data.sources import read as read_source

    return read_source(source, folder=folder)
