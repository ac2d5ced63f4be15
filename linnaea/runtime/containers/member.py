"""Images within packed files, addressed and read like files."""

import errno
import io
import os
import stat
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from linnaea.errors import DataError
from linnaea.runtime.boundary import is_of_the_system, parsing, reason_of
from linnaea.runtime.containers.contract import CONTAINERS, Container, Kind

MARK = "#"
KEPT_OPEN = 64


@dataclass(frozen=True, order=True)
class Member:
    """One image of a packed file, written `photos.zip#cat/1.jpg`; it answers as a `pathlib.Path` does.

    Raises FileNotFoundError where the packed file or the image in it is gone, and OSError where it is damaged.
    """

    container: Path
    inner: str

    def __str__(self) -> str:
        return f"{self.container}{MARK}{self.inner}"

    @property
    def name(self) -> str:
        """The last part of the name within the packed file."""
        return PurePosixPath(self.inner).name

    @property
    def suffix(self) -> str:
        """The ending of that; empty for a number in an array."""
        return PurePosixPath(self.inner).suffix

    def read_bytes(self) -> bytes:
        """The whole image file."""
        container = open_container(self.container)
        try:
            return container.read(self.inner)
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "No such image in the packed file", str(self)) from None
        except Exception as error:
            if is_of_the_system(error):
                raise
            raise OSError(errno.EBADMSG, f"damaged in its archive ({reason_of(error)})", str(self)) from None

    def open(self, mode: str = "rb") -> io.BytesIO:
        """The image file as a stream in memory, to be read as bytes."""
        if mode != "rb":
            raise ValueError(f"mode is {mode!r}; a part of a packed file can only be opened with 'rb'.")
        return io.BytesIO(self.read_bytes())

    def exists(self) -> bool:
        """Whether the packed file is there and holds this image."""
        try:
            open_container(self.container).size(self.inner)
        except (FileNotFoundError, KeyError):
            return False
        return True

    is_file = exists

    def stat(self) -> os.stat_result:
        """The size of the image file, with the times of the packed file."""
        about = self.container.stat()
        try:
            size = open_container(self.container, about).size(self.inner)
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "No such image in the packed file", str(self)) from None
        times = {"st_atime_ns": about.st_atime_ns, "st_mtime_ns": about.st_mtime_ns, "st_ctime_ns": about.st_ctime_ns}
        whole = (stat.S_IFREG | 0o444, about.st_ino, about.st_dev, 1, about.st_uid, about.st_gid, size)
        return os.stat_result((*whole, int(about.st_atime), int(about.st_mtime), int(about.st_ctime)), times)


Located = Path | Member


def kind_of(name: str) -> Kind | None:
    """The kind of packed file that a file's name promises; None for other files."""
    return next((kind for _, kind in CONTAINERS.items() if kind.matches(name)), None)


def open_container(path: Path, about: os.stat_result | None = None) -> Container:
    """An open packed file, kept open for the next time as long as the file, or what is known about it, stays the same.

    Raises DataError where it is damaged or none, FileNotFoundError where it is gone.
    """
    about = about or path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise DataError(f"{path} is a folder, a pipe or a device: expected a packed file.")
    with _OPENING:
        return _open(path, about.st_mtime_ns, about.st_size, about.st_ino)


def let_go() -> None:
    """Close the packed files that were kept open, and forget their listings; whoever asks again opens them again."""
    _open.cache_clear()


_OPENING = threading.Lock()  # two threads that ask for one archive must not both unpack it


@lru_cache(maxsize=KEPT_OPEN)
def _open(path: Path, *state: int) -> Container:
    kind = kind_of(path.name)
    if kind is None:
        raise DataError(f"{path} is not a packed file: expected one of the kinds {', '.join(CONTAINERS)}.")
    with parsing(path, kind.title):
        return kind.open(path)


def locate(root: Path, ids: Sequence[str]) -> list[Located]:
    """The files of these paths below `root`; `photos.zip#cat/1.jpg` is a member where `photos.zip` is a packed file."""
    packed: dict[str, Path | None] = {}
    return [root / name if MARK not in name else _locate(root, name, packed) for name in ids]


def _locate(root: Path, name: str, packed: dict[str, Path | None]) -> Located:
    start = name.find(MARK)
    while start >= 0:
        before = name[:start]
        if before not in packed:
            path = root / before
            packed[before] = path if kind_of(path.name) is not None and path.is_file() else None
        container = packed[before]
        if container is not None:
            return Member(container, name[start + 1 :])
        start = name.find(MARK, start + 1)
    return root / name
