"""Where a chain goes on: after its last whole line, with what was half written kept aside."""

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.delivery.serving.audit_log.chain import files_of
from linnaea.delivery.serving.audit_log.lines import START, read_line
from linnaea.errors import DataError
from linnaea.runtime.files import write_atomically
from linnaea.runtime.words import counted

BLOCK = 2**16
logger = logging.getLogger("linnaea")


@dataclass(frozen=True)
class End:
    """The end of a chain: the number and size of its last file, and the number and hash of its last line.

    `closed` says whether that line closes it; `cut` are the name, bytes and hash of the file with what was half
    written, None where nothing was.
    """

    file: int = 1
    bytes: int = 0
    sequence: int = 0
    head: str = START
    closed: bool = True
    cut: dict[str, Any] | None = None


def end_of(folder: Path) -> End:
    """The end of the chain in a folder, which is whole afterwards: a half-written line is moved to a file beside it.

    Raises DataError where the last whole line is not what was written: nothing can follow it.
    """
    files = files_of(folder)
    if not files:
        return End()
    number, path = files[-1]
    cut = _set_aside(path)
    for _, earlier in reversed(files):
        text = _last_line(earlier)
        if text is not None:
            line = read_line(text)
            if line.content is None or not line.unchanged:
                raise DataError(
                    f"the last line of {earlier} was edited or damaged, so that no chain can go on from it: see "
                    f"`linnaea verify {folder}`, move the folder away, or log into another one."
                )
            closed = line.content.get("event") == "closed"
            return End(number, path.stat().st_size, line.content["sequence"], line.stated, closed, cut)
    return End(number, path.stat().st_size, closed=False, cut=cut)


def _set_aside(path: Path) -> dict[str, Any] | None:
    """Move what follows the last line feed to a file beside it."""
    size = path.stat().st_size
    whole = _after_last_line_feed(path, size)
    if whole == size:
        return None
    with path.open("rb+") as stream:
        stream.seek(whole)
        rest = stream.read()
        aside = path.with_name(f"{path.stem}.{whole}.cut")
        write_atomically(aside, lambda partial: partial.write_bytes(rest))
        stream.truncate(whole)
        os.fsync(stream.fileno())
    logger.warning(
        f"the last line of {path} was cut off, as when a server is killed or a disk fails: its "
        f"{counted(len(rest), 'byte is', 'bytes are')} in {aside.name}, and the log goes on after the line before it."
    )
    return {"file": aside.name, "bytes": len(rest), "sha256": hashlib.sha256(rest).hexdigest()}


def _last_line(path: Path) -> bytes | None:
    """The last line of a file that ends with one, without its end; None for an empty file."""
    size = path.stat().st_size
    if not size:
        return None
    with path.open("rb") as stream:
        stream.seek(_after_last_line_feed(path, size - 1))
        return stream.read()[:-1]


def _after_last_line_feed(path: Path, end: int) -> int:
    """The position after the last line feed before `end`; 0 where there is none."""
    with path.open("rb") as stream:
        while end > 0:
            start = max(0, end - BLOCK)
            stream.seek(start)
            found = stream.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0
