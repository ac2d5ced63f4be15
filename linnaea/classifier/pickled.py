"""Whether a file is a pickle, or an array, an archive or a packed file that holds one: by its bytes, never by loading.

A pickle acts while it is read, before whatever stands behind it: garbage at its end makes it no less of a program.
"""

import io
import pickletools
import re
import tarfile
from collections.abc import Iterator
from typing import IO, Any, cast

HEAD = 1 << 16  # bytes of a file that tell what it is
MOST_MEMBERS = 10_000  # files in an archive
LARGEST_MEMBER = 1 << 32  # bytes
LARGEST_UNPACKED = 1 << 26  # bytes that are looked at
DEEPEST = 4  # archives in archives
TELLING = 16  # operations in a row that no other file begins with
MOST_OPERATIONS = 1 << 22  # after which nothing else is thought possible
PICKLE = "holds a pickle, which is a program"
CLOSED = "holds an archive that cannot be looked into"
ARRAY_OF_OBJECTS = re.compile(rb"""['"(\[, ][|<>=]?O\d*['"]""")
PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "lzma", b"x\x01": "zlib", b"x\x9c": "zlib", b"x\xda": "zlib"}
NAMING = ("GLOBAL", "INST", "STACK_GLOBAL")  # operations that import something
CALLING = ("REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ", "INST", "BUILD")  # and that call it
LARGEST_ARGUMENT = 1 << 31  # bytes
OPERATIONS = {operation.code: operation for operation in pickletools.opcodes}
NAMED = object()  # on the stack: what was imported


def why_a_program(stream: IO[bytes], depth: int = 0) -> str:
    """What of it could be run, or cannot be looked into, in words; nothing of a harmless file."""
    head = stream.read(HEAD)
    if head.startswith(b"\x93NUMPY"):
        return PICKLE if ARRAY_OF_OBJECTS.search(head) else ""
    if head.startswith(b"PK\x03\x04"):
        return CLOSED if depth >= DEEPEST else _in_archive(stream, depth)
    if _is_tape(head):
        return CLOSED if depth >= DEEPEST else _in_tape(stream, depth)
    for magic, packer in PACKED.items():
        if head.startswith(magic) and (found := CLOSED if depth >= DEEPEST else _in_packed(stream, packer, depth)):
            return found
    stream.seek(0)
    return PICKLE if _acts(stream, binary=head.startswith(b"\x80")) else ""


def _acts(stream: IO[bytes], *, binary: bool) -> bool:
    """Whether a reader of pickles would call something on its way or come to an end; `binary`: of protocol 2 or later.

    Of letters, protocols 0 and 1, a text may begin as well: there something is imported, or the file ends there.
    """
    stack: list[Any] = []
    done, named = 0, False
    try:
        for done, operation in enumerate(_operations(stream), 1):
            if operation.name == "STOP":
                return bool(stack) and (binary or named or (done > 2 and not stream.read(HEAD).strip(b"\r\n\t ")))
            if operation.name in ("REDUCE", "NEWOBJ") and stack[-1] is NAMED:
                break  # expected a tuple
            if not _moved(stack, operation):
                break
            named |= operation.name in NAMING
            if done > MOST_OPERATIONS or (named and operation.name in CALLING):
                return True
    except Exception:  # noqa: BLE001  whatever a reader of anything raises
        return binary and done >= TELLING
    return binary and done >= TELLING


def _operations(stream: IO[bytes]) -> Iterator[pickletools.OpcodeInfo]:
    """The operations of a pickle, up to the first that is none; arguments are passed over, of lines as they come."""
    while code := stream.read(1):
        operation = OPERATIONS.get(code.decode("latin-1"))
        if operation is None:
            return
        if operation.arg is not None and operation.arg.n == pickletools.UP_TO_NEWLINE:
            for _ in range(2 if operation.name in NAMING else 1):
                if not stream.readline().endswith(b"\n"):
                    return
        elif operation.arg is not None:
            operation.arg.reader(cast("IO[bytes]", _Bounded(stream)))
        yield operation


class _Bounded:
    """A stream that nobody makes reserve memory without end."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream

    def read(self, size: int) -> bytes:
        """Up to so many bytes."""
        return self.stream.read(min(size, LARGEST_ARGUMENT))


def _moved(stack: list[Any], operation: pickletools.OpcodeInfo) -> bool:
    """Let an operation take from the stack and put on it; False where it would find too little there."""
    before, mark = operation.stack_before, pickletools.markobject
    taken = len(before)
    if mark in before or (operation.name == "POP" and stack and stack[-1] is mark):
        if mark not in stack:
            return False
        while stack.pop() is not mark:
            pass
        taken = before.index(mark) if mark in before else 0
    if len(stack) < taken:
        return False
    del stack[len(stack) - taken :]
    stack.extend([NAMED] if operation.name in ("GLOBAL", "STACK_GLOBAL") else operation.stack_after)
    return True


def _in_archive(stream: IO[bytes], depth: int) -> str:
    import zipfile

    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS or any(member.file_size > LARGEST_MEMBER for member in members):
                return CLOSED
            if any(member.filename.lower().endswith((".pkl", ".pickle")) for member in members):
                return PICKLE
            for member in members:
                with archive.open(member) as inner:
                    if found := why_a_program(inner, depth + 1):
                        return found
    except Exception:  # noqa: BLE001  what this reader cannot open, another one may
        return CLOSED
    return ""


def _is_tape(head: bytes) -> bool:
    """Whether a tar archive begins, which is known by the sum of its first bytes."""
    try:
        tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _in_tape(stream: IO[bytes], depth: int) -> str:
    stream.seek(0)
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for number, member in enumerate(archive):
                inner = archive.extractfile(member) if member.isfile() else None
                if number >= MOST_MEMBERS:
                    return CLOSED
                if inner is not None and (found := why_a_program(inner, depth + 1)):
                    return found
    except Exception:  # noqa: BLE001  what this reader cannot open, another one may
        return CLOSED
    return ""


def _in_packed(stream: IO[bytes], packer: str, depth: int) -> str:
    import bz2
    import lzma
    import zlib

    stream.seek(0)
    packed, most = stream.read(LARGEST_UNPACKED), LARGEST_UNPACKED
    try:
        if packer in ("gzip", "zlib"):
            unpacked = zlib.decompressobj(31 if packer == "gzip" else zlib.MAX_WBITS).decompress(packed, most)
        elif packer == "bz2":
            unpacked = bz2.BZ2Decompressor().decompress(packed, most)
        else:
            unpacked = lzma.LZMADecompressor(memlimit=1 << 28).decompress(packed, most)
    except Exception:  # noqa: BLE001  it only looks like one
        return ""
    return why_a_program(io.BytesIO(unpacked), depth + 1)
