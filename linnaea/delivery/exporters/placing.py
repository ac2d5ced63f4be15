"""A folder that is whole or absent: it is filled under another name and takes its place when it has been checked."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from linnaea.classifier.content import SIGNATURE
from linnaea.delivery.bill_of_materials import FILE
from linnaea.delivery.exporters.parity import PARITY
from linnaea.errors import RunError, UsageError
from linnaea.runtime.files import read_json

UNFINISHED, EARLIER = "unfinished", "earlier"
KEPT = ("__pycache__", SIGNATURE, FILE)  # what comes to lie beside an export, and goes with it
_filled: set[Path] = set()  # by this process, now


def require_free(folder: Path) -> None:
    """Raise UsageError unless a folder is absent or empty, or holds an earlier export alone, which may be replaced."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give an empty or a new folder with --out.")
    if Path.cwd().is_relative_to(folder.resolve()):  # it would be replaced under whoever works in it
        raise UsageError(f"{folder} is, or has in it, the folder you are in: give an empty or a new one with --out.")
    others = _others(folder)
    if others:
        raise UsageError(
            f"{folder} holds other files (first {others[0]}): give an empty or a new folder with --out, or move them."
        )


def _others(folder: Path) -> list[str]:
    """What lies in a folder that no export wrote there, by name, without signatures and what Python keeps of scripts.

    An export without a list of its files is older than such lists: then all are taken to be its own.
    """
    names = sorted(path.name for path in folder.iterdir() if path.name not in KEPT) if folder.is_dir() else []
    if not (folder / PARITY).is_file():
        return names
    try:
        content = read_json(folder / PARITY)
    except RunError:
        return names
    own = content.get("files", names) if isinstance(content, dict) else []
    return [name for name in names if name not in own and name != PARITY]


def names_in(folder: Path) -> list[str]:
    """What an export wrote into a folder, by name."""
    return sorted(path.name for path in folder.iterdir() if path.name not in KEPT)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A hidden neighbour of `folder` for the caller to fill; it is removed in the end, whatever is left of it."""
    staging = _neighbour(folder, UNFINISHED)
    if staging in _filled:
        raise UsageError(f"another export into {folder} is going on: wait for it, or give another folder with --out.")
    _filled.add(staging)
    made = [place for place in staging.parents if not place.exists()]
    try:
        _sweep(staging.parent, folder.resolve().name)
        staging.mkdir(parents=True)
        yield staging
    finally:
        _filled.discard(staging)
        shutil.rmtree(staging, ignore_errors=True)
        with suppress(OSError):  # there is something in it
            for place in made:
                place.rmdir()


def put_in_place(staging: Path, folder: Path) -> None:
    """Let what is finished take the place of `folder`, and of the earlier export in it."""
    folder, earlier = folder.resolve(), _neighbour(folder, EARLIER)
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
    place = folder.resolve()  # "." has no name, and what a link points to is where the files go
    return place.with_name(f".{place.name}.{os.getpid()}.{what}")


def _sweep(parent: Path, name: str) -> None:
    """Remove what exports left that were killed."""
    if not parent.is_dir():
        return
    for path in parent.iterdir():
        found = re.fullmatch(rf"\.{re.escape(name)}\.(\d+)\.({UNFINISHED}|{EARLIER})", path.name)
        if found and not _is_alive(int(found[1])):
            with suppress(OSError):
                shutil.rmtree(path)


def _is_alive(process: int) -> bool:
    """Whether another process has this number: one that had ours, as the first in a container always does, is gone."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another's
        return True
    return True
