"""What no bundle may hold, found by what is in a file.

Pickles, which are programs; data that lies elsewhere; headers so long that reading them is an attack.
"""

import io
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from linnaea.classifier.content import MEND
from linnaea.errors import BundleError
from linnaea.runtime.reading import open_regular

HEAD = 1 << 16  # bytes of a file that tell what it is
LONGEST_TEXT = 1 << 22  # bytes of a pickle of letters, protocol 0, that are read
LONGEST_HEADER = 1 << 24  # bytes of the header of safetensors
MOST_MEMBERS = 10_000  # files in an archive
DEEPEST = 4  # archives in archives
TELLING = 16  # operations in a row that no other file begins with
PICKLE = "holds a pickle, which is a program"
ARRAY_OF_OBJECTS = re.compile(rb"""['"(\[, ][|<>=]?O\d*['"]""")
PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "lzma", b"x\x01": "zlib", b"x\x9c": "zlib", b"x\xda": "zlib"}


def require_harmless(folder: Path, names: Iterable[str]) -> None:
    """Raise BundleError where a file holds a pickle, points to data elsewhere, or has a header beyond any measure."""
    for name in names:
        file = folder / name
        try:
            with open_regular(file) as stream:
                told = _why_not(stream, file.suffix.lower())
        except OSError as error:
            raise BundleError(f"{file} cannot be read ({error.strerror or error}): {MEND}.") from None
        if told:
            raise BundleError(f"{file} {told}: expected a bundle as Linnaea writes it.")


def _why_not(stream: IO[bytes], suffix: str) -> str:
    """What is wrong with a file, in words; nothing of a harmless one."""
    if suffix == ".safetensors":
        return _long_header(stream)
    if suffix == ".onnx":
        from linnaea.classifier.onnx_wire import why_not_whole

        return why_not_whole(stream)
    return PICKLE if _is_pickle(stream) else ""


def _long_header(stream: IO[bytes]) -> str:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    claimed = int.from_bytes(stream.read(8), "little")
    if size < 8 or claimed > size - 8:
        return f"is no whole safetensors file: its header has {claimed:,} bytes, of {size:,} in all"
    if claimed > LONGEST_HEADER:
        return f"has a header of {claimed:,} bytes, where {LONGEST_HEADER:,} are the most"
    return ""


def _is_pickle(stream: IO[bytes], depth: int = 0) -> bool:
    """Whether it is a pickle, or an array, an archive or a packed file with one inside."""
    head = stream.read(HEAD)
    if head.startswith(b"\x80"):
        return _begins_as_pickle(head)
    if head.startswith(b"\x93NUMPY"):
        return ARRAY_OF_OBJECTS.search(head[:HEAD]) is not None
    if head.startswith(b"PK\x03\x04"):
        return depth >= DEEPEST or _is_in_archive(stream, depth)
    for magic, packer in PACKED.items():
        if head.startswith(magic):
            return depth >= DEEPEST or _is_in_packed(head, packer, depth)
    return _is_pickle_of_letters(head, stream)


def _begins_as_pickle(head: bytes) -> bool:
    """Whether operations of a pickle follow on each other, of protocol 2 or later."""
    import pickletools

    done = 0
    try:
        for operation, _, _ in pickletools.genops(head):
            done += 1
            if operation.name == "STOP":
                return True
    except Exception:  # noqa: BLE001  whatever a reader of anything raises
        return done >= TELLING
    return False


def _is_pickle_of_letters(head: bytes, stream: IO[bytes]) -> bool:
    """Whether a whole file is one pickle of protocol 0 or 1, as whose operations letters count too."""
    import pickletools

    if len(head) == HEAD:
        head += stream.read(LONGEST_TEXT)
    text = head.rstrip(b"\r\n\t ")
    if not text.endswith(b".") or len(text) < 4:
        return False
    try:
        pickletools.dis(text, out=_Nowhere())
    except Exception:  # noqa: BLE001  the text of a card is none
        return False
    return True


class _Nowhere(io.StringIO):
    def write(self, text: str) -> int:
        return len(text)


def _is_in_archive(stream: IO[bytes], depth: int) -> bool:
    import zipfile

    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS:
                return True
            for member in members:
                if member.filename.lower().endswith((".pkl", ".pickle")):
                    return True
                with archive.open(member) as inner:
                    if _is_pickle(io.BytesIO(inner.read(HEAD)) if member.file_size > HEAD else inner, depth + 1):
                        return True
    except Exception:  # noqa: BLE001  an archive that nothing can open holds nothing to be run
        return False
    return False


def _is_in_packed(head: bytes, packer: str, depth: int) -> bool:
    import bz2
    import lzma
    import zlib

    unpack: dict[str, Callable[[], bytes]] = {
        "gzip": lambda: zlib.decompressobj(31).decompress(head, HEAD),
        "zlib": lambda: zlib.decompressobj().decompress(head, HEAD),
        "bz2": lambda: bz2.BZ2Decompressor().decompress(head, HEAD),
        "lzma": lambda: lzma.LZMADecompressor(memlimit=1 << 28).decompress(head, HEAD),
    }
    try:
        return _is_pickle(io.BytesIO(unpack[packer]()), depth + 1)
    except Exception:  # noqa: BLE001  it only looks like one
        return False
