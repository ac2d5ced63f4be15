"""The contract of a packed file: one file that holds many images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from linnaea.errors import DataError
from linnaea.registry import Registry

MOST_MEMBER_BYTES = 512 * 2**20  # as for a file that is not packed
MOST_ARRAY_BYTES = 8 * 2**30
MOST_RATIO = 200  # of unpacked to packed bytes; only what is also large is refused
LARGE_MEMBER, LARGE_TOTAL = 64 * 2**20, 2**30


class Container(Protocol):
    """An open packed file. Any number of threads may read from it at once.

    `refused` lists the names of members that are never read, such as links, each with the reason.
    """

    refused: Sequence[tuple[str, str]]

    def names(self) -> Sequence[str]:
        """The names of the members, in the order in which they lie there."""
        ...

    def size(self, name: str) -> int:
        """How many bytes `read` returns; raises KeyError where there is no such member."""
        ...

    def read(self, name: str) -> bytes:
        """The bytes of an image file; raises KeyError, or ValueError with the reason where it is damaged."""
        ...


@dataclass(frozen=True)
class Kind:
    """A kind of packed file: `matches` judges by the file's name alone; whatever `open` raises is about the file.

    `title` is what a message calls it, such as "a zip archive". Its capability `archive` says that it holds files in
    folders, rather than images in one array.
    """

    title: str
    matches: Callable[[str], bool]
    open: Callable[[Path], Container]


CONTAINERS: Registry[Kind] = Registry(
    "kind of packed file",
    "linnaea.runtime.containers",
    title="Packed files, whose images are read where they lie",
    use="Used by the sources, and wherever an image is read.",
)


def require_no_bomb(path: Path, unpacked: int) -> None:
    """Raise DataError where a file would unpack to so much more than it holds that it was made to do harm."""
    if unpacked > LARGE_TOTAL and unpacked > MOST_RATIO * path.stat().st_size:
        raise DataError(
            f"{path} would unpack to {unpacked:,} bytes or more, over {MOST_RATIO} times its size: it is not read. If "
            "that is meant, unpack it yourself and give the folder."
        )
