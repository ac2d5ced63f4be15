"""Tar archives, read by the offsets of their members; a compressed one lies unpacked in a temporary file meanwhile.

A tar has no index, so it is walked once. Compression allows no jumps: the whole of it is decompressed once per process
into a file that has no name and vanishes with the process. For sets too large for that, keep tars uncompressed, as
images are compressed already.
"""

import bz2
import gzip
import lzma
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any
from weakref import finalize

from linnaea.errors import DataError
from linnaea.runtime.boundary import parsing
from linnaea.runtime.containers.contract import CONTAINERS, MOST_MEMBER_BYTES, Kind, require_no_bomb
from linnaea.runtime.containers.names import distinct, plain
from linnaea.runtime.reading import open_regular

NAME = re.compile(r"\.(tar|tar\.gz|tgz|tar\.xz|txz|tar\.bz2|tbz2)$", re.IGNORECASE)
OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open, b"BZh": bz2.open}
CHUNK = 2**22


class Tar:
    """An open tar archive; its members are read from the file by position, so threads do not wait for each other."""

    def __init__(self, path: Path) -> None:
        with open_regular(path) as packed, _unpacked(path, packed) as stream:
            entries = list(_entries(stream))
            self.file = os.dup(stream.fileno())
        finalize(self, os.close, self.file)  # also at the end of the program, while there still is an `os`
        judged = list(distinct((name, reason) for name, reason, _ in entries))
        self.refused: Sequence[tuple[str, str]] = [(name, reason) for name, reason in judged if reason]
        self.places = {name: place for (_, _, place), (name, reason) in zip(entries, judged, strict=True) if not reason}

    def names(self) -> Sequence[str]:
        """The files in it that can be read."""
        return list(self.places)

    def size(self, name: str) -> int:
        """The bytes of one file."""
        return self.places[name][1]

    def read(self, name: str) -> bytes:
        """One file."""
        start, size = self.places[name]
        content = os.pread(self.file, size, start)
        if len(content) != size:
            raise ValueError("cut off")
        return content


@contextmanager
def _unpacked(path: Path, packed: IO[bytes]) -> Iterator[IO[bytes]]:
    """The stream itself, or what it holds as a temporary file."""
    start = packed.read(6)
    packed.seek(0)
    opener = next((opener for mark, opener in OPENERS.items() if start.startswith(mark)), None)
    if opener is None:
        yield packed
        return
    with tempfile.TemporaryFile(prefix="linnaea-tar-") as plain, opener(packed) as stream:
        size = 0
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            require_no_bomb(path, size)
            plain.write(chunk)
        plain.seek(0)
        yield plain


def first_names(path: Path, most: int) -> list[str]:
    """The names of the first members, however large the archive is; none where it is damaged."""
    try:
        with open_regular(path) as packed, parsing(path, "a tar archive"), tarfile.open(fileobj=packed) as archive:
            return [plain(entry.name) for entry in islice(archive, most)]
    except (DataError, OSError):
        return []


def _entries(stream: IO[bytes]) -> Iterator[tuple[str, str | None, tuple[int, int]]]:
    """The name of each file, why it is not read, and where it lies; headers are let go of, which take a kilobyte."""
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        while (entry := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]
            if not entry.isdir():
                yield entry.name, _reason(entry), (entry.offset_data, entry.size)


def _reason(entry: tarfile.TarInfo) -> str | None:
    if entry.issym() or entry.islnk():
        return "a link in an archive"
    if not entry.isfile() or entry.issparse():
        return "not a regular file in its archive"
    return f"file of more than {MOST_MEMBER_BYTES:,} bytes" if entry.size > MOST_MEMBER_BYTES else None


CONTAINERS.register(
    "tar",
    title="Tar archive",
    meaning="The images in a tar archive, packed or not, read where they lie.",
    order=50,
    archive=True,
)(Kind("a tar archive", lambda name: NAME.search(name) is not None, Tar))
