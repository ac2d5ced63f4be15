"""Pickles that may hold numbers, text, bytes, arrays and collections of them, and nothing that could act.

A pickle is a program. This reader lets it name the few functions that such a file needs, all of them written here;
naming anything else stops it before anything is called. Not even numpy's own way of rebuilding an array is used.
"""

import pickle
import re
from pathlib import Path
from typing import IO, Any

import numpy as np

from linnaea.errors import DataError

NUMBERS = re.compile(r"^[<>|=]?[biuf][1248]$")


class _Kind:
    """Stands for numpy.dtype."""

    def __init__(self, code: Any = "", *_: Any) -> None:
        self.code = code.decode("latin1") if isinstance(code, bytes) else str(code)
        self.order = ""

    def __setstate__(self, state: Any) -> None:
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else str(state[1])
        self.order = order if order in ("<", ">") else ""


class _Array:
    """Stands for numpy.ndarray while its bytes are on the way."""

    def __init__(self, *_: Any) -> None:
        self.values = np.zeros(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, by_columns, content = state
        self.values = _numbers(content, kind, shape, "F" if by_columns else "C")


def _numbers(content: Any, kind: Any, shape: Any, order: Any) -> Any:
    """The array that these bytes are."""
    if not isinstance(kind, _Kind) or not NUMBERS.match(kind.code):
        raise pickle.UnpicklingError("an array of something else than numbers")
    content = content.encode("latin1") if isinstance(content, str) else content
    return np.frombuffer(content, np.dtype(kind.order + kind.code.lstrip("<>|="))).reshape(shape, order=order)


def _encode(text: str, encoding: str = "") -> bytes:
    if encoding not in ("latin1", "latin-1", "iso-8859-1"):
        raise pickle.UnpicklingError(f"text encoded as {encoding!r}")
    return text.encode("latin1")


def _empty(*given: Any) -> bytes:
    if given:
        raise pickle.UnpicklingError("bytes made of something")
    return b""


def _admitted() -> dict[tuple[str, str], Any]:
    """Made anew for each file, because a pickle may set attributes of what it names."""
    array, kind = type("_Array", (_Array,), {}), type("_Kind", (_Kind,), {})
    return {
        **{(f"numpy.{module}.multiarray", "_reconstruct"): array for module in ("core", "_core")},
        **{(f"numpy.{module}.numeric", "_frombuffer"): lambda *given: _numbers(*given) for module in ("core", "_core")},
        ("numpy", "ndarray"): array,
        ("numpy", "dtype"): kind,
        ("_codecs", "encode"): lambda *given: _encode(*given),
        **{(module, "bytes"): lambda *given: _empty(*given) for module in ("builtins", "__builtin__")},
    }


class _Reader(pickle.Unpickler):
    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream, encoding="bytes")
        self.admitted = _admitted()

    def find_class(self, module: str, name: str) -> Any:
        """One of the functions above; refuses every other name."""
        if (module, name) not in self.admitted:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return self.admitted[module, name]


def read_pickle(path: Path) -> Any:
    """What a pickle holds, if that is arrays of numbers, bytes, text, numbers, and lists and dictionaries of them.

    Raises DataError for anything else, before any of it is called.
    """
    try:
        with path.open("rb") as stream:
            return _finished(_Reader(stream).load())
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  a damaged pickle can trip over anything
        raise DataError(
            f"{path} is no pickle of plain arrays, text and numbers ({error or type(error).__name__}): nothing in it "
            "was run. If you trust it, convert it to images yourself."
        ) from None


def _finished(content: Any) -> Any:
    """The arrays in place of what stood for them."""
    if isinstance(content, _Array | np.ndarray):
        return content.values if isinstance(content, _Array) else content
    if isinstance(content, dict):
        return {key: _finished(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finished(value) for value in content]
    if not isinstance(content, bytes | str | int | float | None):
        raise pickle.UnpicklingError(f"it holds a {type(content).__name__}")
    return content
