"""Pickles that may hold numbers, text, bytes, arrays and collections of them, and nothing that could act.

A pickle is a program. This reader lets it name the few functions that such a file needs, all of them written here;
naming anything else stops it before anything is called. Not even numpy's own way of rebuilding an array is used.
"""

import io
import pickle
import re
from pathlib import Path
from typing import IO, Any

import numpy as np

from linnaea.runtime.boundary import parsing
from linnaea.runtime.containers.contract import MOST_ARRAY_BYTES
from linnaea.runtime.reading import read_regular

MOST_ITEMS = 10_000_000
OPERATIONS = (
    *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.POP, pickle.POP_MARK),
    *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.INT, pickle.BININT, pickle.BININT1, pickle.BININT2),
    *(pickle.LONG, pickle.LONG1, pickle.LONG4, pickle.FLOAT, pickle.BINFLOAT),
    *(pickle.STRING, pickle.BINSTRING, pickle.SHORT_BINSTRING, pickle.BINBYTES, pickle.SHORT_BINBYTES),
    *(pickle.BINBYTES8, pickle.BYTEARRAY8),
    *(pickle.UNICODE, pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.EMPTY_LIST, pickle.LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_DICT, pickle.DICT),
    *(pickle.SETITEM, pickle.SETITEMS, pickle.GET, pickle.BINGET, pickle.LONG_BINGET),
    *(pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE),
    *(pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.REDUCE, pickle.BUILD),
)
NUMBERS = re.compile(r"^[<>|=]?[biuf][1248]$")


class _Kind:
    """Stands for numpy.dtype."""

    def __init__(self, code: Any = "", *_: Any) -> None:
        self.code = _text(code)
        self.order = ""

    def __setstate__(self, state: Any) -> None:
        order = _text(state[1])
        self.order = order if order in ("<", ">") else ""


def _text(given: Any) -> str:
    if not isinstance(given, bytes | str):
        raise pickle.UnpicklingError(f"a {type(given).__name__} where text belongs")
    return given.decode("latin1") if isinstance(given, bytes) else given


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
        raise pickle.UnpicklingError("an array of something other than numbers")
    content = content.encode("latin1") if isinstance(content, str) else content
    return np.frombuffer(content, np.dtype(kind.order + kind.code.lstrip("<>|="))).reshape(shape, order=order)


def _encode(text: str, encoding: str = "") -> bytes:
    if encoding not in ("latin1", "latin-1", "iso-8859-1"):
        raise pickle.UnpicklingError(f"text encoded as {encoding!r}")
    return text.encode("latin1")


def _empty(*given: Any) -> bytes:
    if given:
        raise pickle.UnpicklingError("bytes made from other content")
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


PYTHON: Any = pickle._Unpickler  # the reader whose every operation can be chosen; the stubs leave most of it out


class _Operations(dict[int, Any]):
    def __missing__(self, code: int) -> Any:
        raise pickle.UnpicklingError(f"the operation {chr(code)!r}, which such a file does not need")


class _Reader(PYTHON):  # type: ignore[misc]
    """Reads operation by operation, none but those above."""

    dispatch = _Operations((operation[0], PYTHON.dispatch[operation[0]]) for operation in OPERATIONS)

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream, encoding="bytes")
        self.admitted = _admitted()

    def find_class(self, module: str, name: str) -> Any:
        """One of the functions above; refuses every other name."""
        if (module, name) not in self.admitted:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return self.admitted[module, name]

    def load_dict(self) -> None:
        """A new dictionary, whose keys are text or numbers: to hash a tuple of tuples may take for ever."""
        _require_plain(self.stack[::2])
        super().load_dict()

    def load_setitems(self) -> None:
        """The same for one that is filled."""
        _require_plain(self.stack[::2])
        super().load_setitems()

    def load_setitem(self) -> None:
        """The same for one key."""
        _require_plain(self.stack[-2:-1])
        super().load_setitem()

    dispatch |= {pickle.DICT[0]: load_dict, pickle.SETITEMS[0]: load_setitems, pickle.SETITEM[0]: load_setitem}


def _require_plain(keys: list[Any]) -> None:
    if not all(isinstance(key, bytes | str | int) for key in keys):
        raise pickle.UnpicklingError("a key that is neither text nor a number")


def read_pickle(path: Path) -> Any:
    """What a pickle holds, if that is arrays of numbers, bytes, text, numbers, and lists and dictionaries of them.

    Raises DataError for anything else, before any of it is called, and for what is small in the file and endless when
    written out, because parts of it name the same part again and again.
    """
    mend = "nothing in it was run; if you trust it, convert it to images yourself"
    with parsing(path, "a pickle of plain arrays, text and numbers", mend):
        content = read_regular(path, MOST_ARRAY_BYTES)
        return _finished(_Reader(io.BytesIO(content)).load(), {})[0]


def _finished(content: Any, known: dict[int, tuple[Any, int]]) -> tuple[Any, int]:
    """Arrays in place of what stood for them, and how many items that is when written out; `known` is by identity."""
    if isinstance(content, _Array | np.ndarray):
        return (content.values if isinstance(content, _Array) else content), 1
    if not isinstance(content, dict | list | tuple):
        if not isinstance(content, bytes | str | int | float | None):
            raise pickle.UnpicklingError(f"it holds a {type(content).__name__}")
        return content, 1
    if id(content) not in known:
        parts = [_finished(part, known) for part in (content.values() if isinstance(content, dict) else content)]
        values, size = [value for value, _ in parts], 1 + sum(size for _, size in parts)
        if size > MOST_ITEMS:
            raise pickle.UnpicklingError(f"it holds more than {MOST_ITEMS:,} items when written out")
        known[id(content)] = (dict(zip(content, values, strict=True)) if isinstance(content, dict) else values), size
    return known[id(content)]
