"""The file at the end of a chain: bytes are appended whole or not at all, and the next file is begun at a size."""

import os
import threading
from contextlib import suppress
from pathlib import Path

from linnaea.delivery.serving.audit_log.lines import file_name
from linnaea.delivery.serving.audit_log.policy import LogPolicy

APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class ChainFile:
    """The last file of a chain, its `number` and its size so far; only one thread at a time may append to it."""

    def __init__(self, folder: Path, number: int, size: int, policy: LogPolicy) -> None:
        self._folder, self._number, self._size, self._policy = folder, number, size, policy
        self._torn = False  # whether part of what could not be written may stand at the end
        self._swapping = threading.Lock()
        self._handle = os.open(self.path, APPENDING, 0o640)

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._folder / file_name(self._number)

    def append(self, lines: bytes) -> None:
        """Append whole lines, in the next file where this one is full; raises OSError, and has none of them then."""
        if self._torn:
            self._mend()
        if self._size and self._size + len(lines) > self._policy.rotate_bytes:
            self._begin_next()
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._handle, rest) :]
            if self._policy.sync == "answer":
                os.fsync(self._handle)
        except OSError:
            self._torn = True
            with suppress(OSError):  # then it is tried before the next line
                self._mend()
            raise
        self._size += len(lines)

    def copy_of_handle(self) -> int:
        """Another handle of the file, which the caller closes: another thread may wait with it for the disk."""
        with self._swapping:
            return os.dup(self._handle)

    def close(self) -> None:
        """Let the disk have it, unless that is left to the system."""
        try:
            if self._policy.sync != "system":
                os.fsync(self._handle)
        finally:
            os.close(self._handle)

    def _mend(self) -> None:
        os.ftruncate(self._handle, self._size)
        self._torn = False

    def _begin_next(self) -> None:
        handle = os.open(self._folder / file_name(self._number + 1), APPENDING, 0o640)
        with self._swapping:
            full, self._handle = self._handle, handle
        self._number, self._size = self._number + 1, os.fstat(handle).st_size
        try:
            if self._policy.sync != "system":
                os.fsync(full)
                _sync_folder(self._folder)
        finally:
            os.close(full)


def _sync_folder(folder: Path) -> None:
    """Let the disk have the names in a folder, where the system can be asked for that."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
