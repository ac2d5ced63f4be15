"""A folder for one process at a time: a lock that ends with the process that holds it, however that ends."""

import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from linnaea.errors import RunError

LOCK = ".lock"
PATIENCE, PAUSE = 20.0, 0.005  # seconds
logger = logging.getLogger("linnaea")

if sys.platform == "win32":
    import msvcrt

    def _seize(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _seize(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder, which is made if it is not there; raises RunError, naming the holder, where another does.

    The file `.lock` says who it is, and is gone afterwards; one that a killed process left means nothing. Where the
    disk knows no locks, a warning says so. Raises OSError where the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = _acquired(folder / LOCK)
    try:
        yield
    finally:
        with suppress(OSError):  # the folder may be gone
            (folder / LOCK).unlink()
        os.close(handle)


@contextmanager
def held_soon(folder: Path, patience: float = PATIENCE) -> Iterator[None]:
    """The same for what takes a moment: wait up to so many seconds for others who hold the folder, then raise."""
    deadline = time.monotonic() + patience
    while True:
        holding = held(folder)
        try:
            holding.__enter__()
            break
        except RunError:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE)
    try:
        yield
    finally:
        holding.__exit__(None, None, None)


def holder_of(folder: Path) -> str | None:
    """Who holds the folder at present, such as "process 12 on host"; None where nobody does."""
    try:
        handle = os.open(folder / LOCK, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    except OSError:
        return None
    try:
        return None if _is_ours(handle) else _named(handle)
    finally:
        os.close(handle)


def _acquired(path: Path) -> int:
    """An open lock file that is held."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _is_ours(handle):
                raise RunError(f"{path.parent} is in use by {_named(handle)}: wait until it has ended, or stop it.")
            if os.path.samestat(os.fstat(handle), path.stat()):  # else its holder has just removed it
                os.ftruncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
                return handle
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_ours(handle: int) -> bool:
    """Whether the lock could be taken; so it is, with a warning, where the disk has none."""
    try:
        _seize(handle)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        logger.warning(f"this disk does not support locks ({error.strerror}): run no second command on the same run.")
    return True


def _named(handle: int) -> str:
    with suppress(OSError):
        os.lseek(handle, 0, os.SEEK_SET)
        return os.read(handle, 200).decode(errors="replace").strip() or "another process"
    return "another process"
