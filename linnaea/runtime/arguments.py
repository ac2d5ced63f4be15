"""What arguments may be, as far as it can be told before anything heavy is imported."""

from collections.abc import Mapping, Sequence
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from linnaea.errors import DataError, UsageError, suggest
from linnaea.runtime.words import counted

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
EXPORT_PRECISIONS = ("fp32", "bf16", "fp16", "int8")  # of models for other runtimes
STRATEGIES = ("auto", "ddp", "fsdp")
MEMORY_FORMATS = ("auto", "channels_last", "contiguous")
DUPLICATES = ("near", "exact")
LARGEST_NUMBER = 2**24  # of classes, features or channels in a model
DAMAGED = ("refuse", "answer")
BITS_OF = {"openvino": (8, 16), "onnx": (8,), "torch": (4, 8, 16)}  # that each can compute networks with
SMALLEST_PICTURE, LARGEST_PICTURE = 8, 2048
MOST_CHANNELS, COLOUR = 256, 3
LARGEST_VALUE = 65_535  # of a grey pixel


def require_one_of(known: Sequence[str], name: str, value: object) -> None:
    """Raise UsageError when the argument `name` is none of the known words."""
    if value not in known:
        raise UsageError(f"{name} is {value!r}; expected one of {', '.join(known)}.{suggest(str(value), known)}")


def require_positive(name: str, value: object) -> None:
    """Raise UsageError when the argument `name` is no finite number above 0."""
    if not 0 < _number(value) < float("inf"):
        raise UsageError(f"{name} is {value}; expected a number above 0.")


def require_count(name: str, value: object) -> None:
    """Raise UsageError when the argument `name` is no whole number above 0."""
    if _whole(value) <= 0:
        raise UsageError(f"{name} is {value}; expected a whole number above 0.")


def require_batch(name: str, value: object) -> None:
    """Raise UsageError unless the argument `name` is auto or a whole number above 0."""
    if value == "auto":
        return
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise UsageError(f"{name} is {value}; expected auto or a whole number above 0.")


def require_seed(value: object, name: str = "seed") -> None:
    """Raise UsageError when a seed is no whole number from 0 to 2^32 - 1, as all generators take them."""
    if not 0 <= _whole(value) < 2**32:
        raise UsageError(f"{name} is {value}; expected a whole number from 0 to {2**32 - 1}.")


def require_share(name: str, value: object, usual: float = 0.05) -> None:
    """Raise UsageError when the argument `name` does not lie between 0 and 1; `usual` is an example."""
    if not 0 < _number(value) < 1:
        raise UsageError(f"{name} is {value}; expected a share between 0 and 1, such as {usual}.")


def require_picture_size(name: str, value: object) -> None:
    """Raise UsageError when the argument `name` is no side of an image that is read, in pixels."""
    if not SMALLEST_PICTURE <= _whole(value) <= LARGEST_PICTURE:
        raise UsageError(f"{name} is {value}; expected {SMALLEST_PICTURE} to {LARGEST_PICTURE} pixels.")


def require_channels(name: str, value: object) -> None:
    """Raise UsageError when the argument `name` is no number of channels that an image may have."""
    if not 1 <= _whole(value) <= MOST_CHANNELS:
        raise UsageError(
            f"{name} is {value}; expected 1 (grey), 3 (colours), 4 (colours and alpha) or, of TIFF files, their bands, "
            f"at most {MOST_CHANNELS}."
        )


def require_there(paths: Sequence[Path]) -> None:
    """Raise DataError when any of the paths to images does not exist."""
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise DataError(
            f"{counted(len(missing), 'path does', 'paths do')} not exist: {', '.join(missing[:3])}; expected image "
            "files or folders of them."
        )


def require_types(maker: type, given: Mapping[str, Any]) -> None:
    """Raise UsageError when an argument, of JSON types, is not of the type that the maker's signature says."""
    hints = get_type_hints(vars(maker).get("__init__", object.__init__))
    for name, value in given.items():
        if name in hints and not _is_of(value, hints[name]):
            raise UsageError(f"{name} is {value!r}; expected {_type_in_words(hints[name])}.")


def require_all(own: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise UsageError when arguments that a saved thing has of its `own` were not given: a default may differ."""
    absent = [name for name in own if name not in given]
    if absent:
        raise UsageError(f"{absent[0]} is missing.")


def _is_of(value: Any, hint: Any) -> bool:
    kind, inner = get_origin(hint), get_args(hint)
    if kind is UnionType:
        return any(_is_of(value, one) for one in inner)
    if hint is bool or isinstance(value, bool):
        return hint is bool and isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and 0 <= value <= LARGEST_NUMBER
    if hint is float:
        return isinstance(value, int | float) and isfinite(value)
    if kind is Sequence:
        return isinstance(value, list | tuple) and all(_is_of(item, inner[0]) for item in value)
    if kind is Mapping:
        return isinstance(value, Mapping)
    return hint is Any or (isinstance(hint, type) and isinstance(value, hint))


def _type_in_words(hint: Any) -> str:
    words = {bool: "true or false", int: f"a whole number from 0 to {LARGEST_NUMBER}", float: "a number", str: "text"}
    if get_origin(hint) is Sequence:
        return f"a list, of {_type_in_words(get_args(hint)[0])} each"
    return words.get(hint, "an object")


def _number(value: object) -> float:
    """Not a number for what is none."""
    return float(value) if isinstance(value, Real) else float("nan")


def _whole(value: object) -> int:
    """-1 for what is no whole number."""
    return int(value) if isinstance(value, Integral) else -1


def require_export_precision(to: str, precision: str, formats: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise UsageError where an export format cannot be in a precision; `formats` are what is known of each."""
    able = {name: told.get("precisions", EXPORT_PRECISIONS[:1]) for name, told in formats.items()}
    if precision not in able[to]:
        others = [name for name, precisions in able.items() if precision in precisions]
        offered = f", or one of {', '.join(others)}, which can be in {precision}" if others else ""
        raise UsageError(f"the format {to} cannot be in {precision}: expected one of {', '.join(able[to])}{offered}.")


def computing(bits: int, backend: str | None) -> str:
    """What computes a quantised network: as asked for, else OpenVINO of eight bits and torch of others."""
    return backend or ("openvino" if bits == 8 else "torch")


def require_bits(bits: int, backend: str | None) -> None:
    """Raise UsageError where what computes a quantised network cannot with numbers of so many bits."""
    chosen = computing(bits, backend)
    if bits not in BITS_OF[chosen]:
        able = " or ".join(name for name, its in BITS_OF.items() if bits in its)
        listed = " or ".join(map(str, BITS_OF[chosen]))
        raise UsageError(
            f"bits is {bits}, and {chosen} computes networks with {listed} bits: choose these, or --backend {able}."
        )
