"""What arguments may be, as far as it can be told before anything heavy is imported."""

from collections.abc import Sequence
from pathlib import Path

from linnaea.errors import DataError, UsageError, suggest

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
MEMORY_FORMATS = ("auto", "channels_last", "contiguous")
DUPLICATES = ("near", "exact")
SMALLEST_PICTURE, LARGEST_PICTURE = 8, 2048


def require_one_of(known: Sequence[str], name: str, value: str) -> None:
    """Raise UsageError when the argument `name` is none of the known words."""
    if value not in known:
        raise UsageError(f"{name} is {value!r}; expected one of {', '.join(known)}.{suggest(value, known)}")


def require_positive(name: str, value: float | None) -> None:
    """Raise UsageError when the argument `name` is given and is no finite number above 0."""
    if value is not None and not 0 < value < float("inf"):
        raise UsageError(f"{name} is {value}; expected a number above 0.")


def require_share(name: str, value: float | None, usual: float = 0.05) -> None:
    """Raise UsageError when the argument `name` is given and does not lie between 0 and 1; `usual` is an example."""
    if value is not None and not 0 < value < 1:
        raise UsageError(f"{name} is {value}; expected a share between 0 and 1, such as {usual}.")


def require_picture_size(name: str, value: int | None) -> None:
    """Raise UsageError when the argument `name` is given and is no side of a picture that is read, in pixels."""
    if value is not None and not SMALLEST_PICTURE <= value <= LARGEST_PICTURE:
        raise UsageError(f"{name} is {value}; expected {SMALLEST_PICTURE} to {LARGEST_PICTURE} pixels.")


def require_there(paths: Sequence[Path]) -> None:
    """Raise DataError when any of the paths to images does not exist."""
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise DataError(
            f"{len(missing)} of the paths do not exist: {', '.join(missing[:3])}; expected image files or folders of "
            "them."
        )
