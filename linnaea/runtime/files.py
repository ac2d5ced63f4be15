"""Files that are either whole or absent, and their hashes."""

import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnaea.errors import RunError, UsageError
from linnaea.runtime.reading import open_regular

if TYPE_CHECKING:
    from torch import Tensor

    from linnaea.runtime.containers import Located


def write_atomically(path: Path, write: Callable[[Path], object], *, previous: Path | None = None) -> Path:
    """Let `write` fill a neighbour of `path`, flush it to disk, and only then take the place of `path`.

    A failure of any kind (disk full, Ctrl-C) leaves the previous file as it was and removes the neighbour. `previous`
    is where the file goes whose place is taken (None: nowhere); for a moment there is only that one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        with partial.open("rb+") as handle:
            os.fsync(handle.fileno())
        if previous is not None and path.exists():
            path.replace(previous)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Let the caller fill a hidden neighbour of `folder`, which takes its place only when all went well.

    A failure of any kind removes the neighbour. Raises UsageError where `folder` is a file or holds anything.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} already exists: choose another folder, or empty it first.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{folder} cannot be made: {folder.parent} is a file, or lies below one.") from None
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:12]}.partial")
    partial.mkdir()
    try:
        yield partial
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str) -> Path:
    """Write `text` as UTF-8, atomically."""
    return write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: Any) -> Path:
    """Write `content` as indented JSON, atomically; NaN and infinity are refused."""
    return write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; raises RunError naming the file when it is absent or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} does not exist: the folder is unfinished or is not a Linnaea folder.") from None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is not valid JSON ({error}): it was changed or cut off; create it again.") from None


def write_tensors(
    path: Path,
    tensors: "Mapping[str, Tensor]",
    facts: Mapping[str, str] | None = None,
    *,
    previous: Path | None = None,
) -> Path:
    """Write tensors as safetensors, with `facts` in the header, atomically; raises OSError when the disk refuses.

    `previous` is where the file goes that was there.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        facts = dict(facts or {})
        return write_atomically(path, lambda partial: save_file(whole, partial, metadata=facts), previous=previous)
    except SafetensorError as error:  # it tells the system's number in words only
        told = re.search(r"\(os error (\d+)\)$", str(error))
        number = int(told[1]) if told else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error


def sha256_of(path: "Located") -> str:
    """SHA-256 of the bytes of a regular file, or of a member of a packed file, as 64 hexadecimal digits."""
    with open_regular(path) if isinstance(path, Path) else path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
