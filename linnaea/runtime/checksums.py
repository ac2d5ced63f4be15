"""The SHA-256 of files, kept in a file `SHA256SUMS` beside them, which `sha256sum -c` checks too."""

from pathlib import Path

from linnaea.errors import RunError
from linnaea.runtime.files import sha256_of, write_text

SUMS = "SHA256SUMS"


def keep_checksum(file: Path) -> Path:
    """Write down the SHA-256 of a file that has just been written; returns the file."""
    sums = _kept(file.parent) | {file.name: sha256_of(file)}
    write_text(file.parent / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))
    return file


def has_checksum(file: Path) -> bool:
    """Whether a SHA-256 of this file was written down."""
    return file.name in _kept(file.parent)


def require_unchanged(file: Path) -> None:
    """Raise RunError where the file is not what it was when its SHA-256 was written down, if that was ever done."""
    known = _kept(file.parent).get(file.name)
    if known is not None and file.is_file() and sha256_of(file) != known:
        raise RunError(
            f"{file} has changed since it was written (its SHA-256 differs from {SUMS}): put the original back, or "
            "evaluate the run again."
        )


def require_all_unchanged(folder: Path) -> None:
    """Raise RunError where any file of the folder has changed since its SHA-256 was written down."""
    for name in _kept(folder):
        require_unchanged(folder / name)


def _kept(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file by name; lines of another form count for nothing."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.split("  ", 1) for line in lines if "  " in line)
    return {name: digest for digest, name in pairs}
