"""A folder that is whole or absent: it is filled under another name and takes its place when it has been checked."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from linnaea.delivery.exporters.parity import PARITY
from linnaea.errors import UsageError

UNFINISHED, EARLIER = "unfinished", "earlier"


def require_free(folder: Path) -> None:
    """Raise UsageError unless a folder is absent or empty, or holds an earlier export, which may be replaced."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give an empty or a new folder with --out.")
    if folder.exists() and any(folder.iterdir()) and not (folder / PARITY).is_file():
        raise UsageError(f"{folder} holds other files: give an empty or a new folder with --out.")


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A hidden neighbour of `folder` for the caller to fill; it is removed in the end, whatever is left of it."""
    _sweep(folder)
    staging = _neighbour(folder, UNFINISHED)
    staging.mkdir(parents=True)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def put_in_place(staging: Path, folder: Path) -> None:
    """Let what is finished take the place of `folder`, and of the earlier export in it."""
    earlier = _neighbour(folder, EARLIER)
    if folder.exists():
        folder.replace(earlier)
    try:
        staging.replace(folder)
    except OSError:
        if earlier.exists():
            earlier.replace(folder)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def _neighbour(folder: Path, what: str) -> Path:
    return folder.with_name(f".{folder.name}.{os.getpid()}.{what}")


def _sweep(folder: Path) -> None:
    """Remove what exports left that were killed."""
    if not folder.parent.is_dir():
        return
    for path in folder.parent.iterdir():
        found = re.fullmatch(rf"\.{re.escape(folder.name)}\.(\d+)\.({UNFINISHED}|{EARLIER})", path.name)
        if found and not _is_alive(int(found[1])):
            with suppress(OSError):
                shutil.rmtree(path)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another's
        return True
    return True
