"""A folder that `linnaea review` and the page of a server file images in, with their right labels."""

from pathlib import Path

from linnaea.data.review import TABLE, ReviewFolder
from linnaea.data.sources import table
from linnaea.data.sources.contract import SOURCES, Source
from linnaea.dataset import Dataset


def detects(path: Path) -> bool:
    """A folder with a table of reviewed images."""
    return path.is_dir() and ReviewFolder.is_in(path)


def read(path: Path) -> Dataset:
    """The images with their labels; those that show none of the classes are left out and listed."""
    return table.read(path / TABLE)


SOURCES.register(
    "review", title="Reviewed images", meaning="A folder with `review.csv`, as `linnaea review` makes it.", order=35
)(Source(detects, read))
