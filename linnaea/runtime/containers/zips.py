"""Zip archives, read member by member and never unpacked."""

import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path

from linnaea.runtime.containers.contract import (
    CONTAINERS,
    LARGE_MEMBER,
    MOST_MEMBER_BYTES,
    MOST_RATIO,
    Kind,
    require_no_bomb,
)
from linnaea.runtime.containers.names import distinct

ENCRYPTED = 0x1


class Zip:
    """An open zip archive."""

    def __init__(self, path: Path) -> None:
        self.archive = zipfile.ZipFile(path)
        files = [member for member in self.archive.infolist() if not member.is_dir()]
        require_no_bomb(path, sum(member.file_size for member in files))
        judged = list(distinct((member.filename, _reason(member)) for member in files))
        self.refused: Sequence[tuple[str, str]] = [(name, reason) for name, reason in judged if reason]
        self.members = {name: member for member, (name, reason) in zip(files, judged, strict=True) if not reason}

    def names(self) -> Sequence[str]:
        """The files in it that can be read."""
        return list(self.members)

    def size(self, name: str) -> int:
        """The bytes of one file, unpacked."""
        return self.members[name].file_size

    def read(self, name: str) -> bytes:
        """One file, at most as long as the archive says."""
        return self.archive.read(self.members[name])


def _reason(member: zipfile.ZipInfo) -> str | None:
    mode = member.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "a link in an archive" if stat.S_ISLNK(mode) else "not a regular file in its archive"
    if member.flag_bits & ENCRYPTED:
        return "encrypted in its archive"
    if member.file_size > MOST_MEMBER_BYTES:
        return f"file of more than {MOST_MEMBER_BYTES:,} bytes"
    if member.file_size > LARGE_MEMBER and member.file_size > MOST_RATIO * member.compress_size:
        return f"unpacks to more than {MOST_RATIO} times its size"
    return None


CONTAINERS.register(
    "zip", title="Zip archive", meaning="The images in a zip archive, read where they lie.", order=60, archive=True
)(Kind("a zip archive", lambda name: name.lower().endswith(".zip"), Zip))
