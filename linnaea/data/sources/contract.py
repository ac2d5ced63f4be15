"""The contract of a source: one form that a set of labelled images comes in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from linnaea.dataset import Dataset
from linnaea.registry import Registry


@dataclass(frozen=True)
class Source:
    """One form of data: `detects` answers quickly, from names or a first line; `read` makes the dataset.

    Where the images lie in no files of their own, `writes` says that `read` also takes the folder to write them into.
    """

    detects: Callable[[Any], bool]
    read: Callable[..., Dataset]
    writes: bool = False


SOURCES: Registry[Source] = Registry(
    "source",
    "linnaea.data.sources",
    title="Sources, in the order they are tried",
    use="Used by every verb that takes data.",
)
