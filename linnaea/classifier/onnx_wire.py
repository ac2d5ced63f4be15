"""An ONNX file read just far enough to see whether all of its data lies inside, without the library that makes them.

https://github.com/onnx/onnx/blob/main/onnx/onnx.proto has the numbers of the fields,
https://protobuf.dev/programming-guides/encoding how they are written.
"""

import mmap
from collections.abc import Iterator
from typing import IO

DEEPEST = 64  # graphs within attributes within graphs
NAME, EXTERNAL_DATA, DATA_LOCATION = 8, 13, 14  # of a tensor
INNER = {  # which fields of a message hold which messages
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
Field = tuple[int, int, int, int]  # number, wire type, and from where to where its bytes lie; of a number, its value


def why_not_whole(stream: IO[bytes]) -> str:
    """Why an ONNX file is none that holds all of its data, in words; nothing where it does."""
    try:
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            outside = next(_outside(content, 0, len(content), "model", 0), None)
    except ValueError as error:  # also that of an empty file
        return f"is no ONNX file that can be read ({error})"
    return "" if outside is None else f"keeps data of {outside!r} in another file"


def _outside(content: mmap.mmap, start: int, end: int, kind: str, depth: int) -> Iterator[str]:
    """The names of the tensors in a message whose data lies elsewhere."""
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    inner = INNER[kind]
    for number, wire, first, last in _fields(content, start, end):
        if wire != 2 or number not in inner:
            continue
        if inner[number] != "tensor":
            yield from _outside(content, first, last, inner[number], depth + 1)
        elif (name := _outer_tensor(content, first, last)) is not None:
            yield name


def _outer_tensor(content: mmap.mmap, start: int, end: int) -> str | None:
    """The name of a tensor whose data lies elsewhere; None of any other."""
    name, outside = "", False
    for number, wire, first, last in _fields(content, start, end):
        if number == NAME and wire == 2:
            name = content[first : min(last, first + 80)].decode(errors="replace")
        outside |= number == EXTERNAL_DATA or (number == DATA_LOCATION and first != 0)
    return name if outside else None


def _fields(content: mmap.mmap, start: int, end: int) -> Iterator[Field]:
    while start < end:
        key, start = _number(content, start, end)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, start = _number(content, start, end)
            yield number, wire, value, value
            continue
        if wire == 2:
            length, start = _number(content, start, end)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"a field of the kind {wire}")
        if start + length > end:
            raise ValueError("cut off")
        yield number, wire, start, start + length
        start += length


def _number(content: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and where what follows begins."""
    value = 0
    for place in range(start, min(end, start + 10)):
        value |= (content[place] & 127) << 7 * (place - start)
        if content[place] < 128:
            return value, place + 1
    raise ValueError("cut off")
