"""IDX files, the form of MNIST: a magic number, the lengths, then bytes (LeCun, Cortes and Burges 1998)."""

import gzip
import math
import re
import struct
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from linnaea.errors import DataError
from linnaea.runtime.boundary import parsing
from linnaea.runtime.containers.contract import CONTAINERS, MOST_ARRAY_BYTES, Kind, require_no_bomb
from linnaea.runtime.containers.stacks import Stack
from linnaea.runtime.reading import open_regular
from linnaea.runtime.words import in_number

NAME = re.compile(r"idx\d-ubyte(\.gz)?$")
UNSIGNED_BYTE = 8
GZIP = b"\x1f\x8b"


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes, plain (memory-mapped) or packed by gzip (in memory).

    Raises DataError where the magic number is another, or the file holds less or more than its header says.
    """
    with open_regular(path) as raw:
        packed = raw.read(2) == GZIP
    if not packed:
        shape = _shape(path, dimensions)
        _require_length(path, path.stat().st_size - _header_bytes(dimensions), math.prod(shape))
        return (
            np.memmap(path, np.uint8, "r", _header_bytes(dimensions), shape)
            if 0 not in shape
            else np.zeros(shape, np.uint8)
        )
    with parsing(path, "a gzip-compressed IDX file"):
        return _unpack(path, dimensions)


def _unpack(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    with open_regular(path) as packed, gzip.open(packed) as stream:
        shape = _parse_header(path, stream, dimensions)
        expected = math.prod(shape)
        require_no_bomb(path, expected)
        content = stream.read(expected + 1)
    _require_length(path, len(content), expected)
    return np.frombuffer(content, np.uint8).reshape(shape)


def _shape(path: Path, dimensions: int) -> tuple[int, ...]:
    with open_regular(path) as stream:
        return _parse_header(path, stream, dimensions)


def _parse_header(path: Path, stream: "IO[bytes] | gzip.GzipFile", dimensions: int) -> tuple[int, ...]:
    header = stream.read(_header_bytes(dimensions))
    magic = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if len(header) < _header_bytes(dimensions) or header[:4] != magic:
        raise DataError(
            f"{path} begins with {header[:4].hex(' ') or 'nothing'}; expected {magic.hex(' ')}, an IDX file of "
            f"unsigned bytes in {dimensions} {in_number(dimensions, 'dimension')}."
        )
    shape = struct.unpack(f">{dimensions}I", header[4:])
    if math.prod(shape) > MOST_ARRAY_BYTES:
        raise DataError(f"{path} says that it holds {math.prod(shape):,} bytes: more than {MOST_ARRAY_BYTES:,}.")
    return shape


def _header_bytes(dimensions: int) -> int:
    return 4 + 4 * dimensions


def _require_length(path: Path, given: int, expected: int) -> None:
    if given != expected:
        raise DataError(
            f"{path} holds {'more than ' if given > expected else ''}{min(given, expected):,} bytes after its header, "
            f"which says {expected:,}: it is cut off or damaged, fetch it again."
        )


def open_idx(path: Path) -> Stack:
    """The images of an IDX file in three dimensions, plain or packed by gzip."""
    images = read_idx(path, 3)
    return Stack(len(images), images.shape[1:], lambda number: images[number])


CONTAINERS.register(
    "idx", title="IDX file", meaning="The images of an IDX file in three dimensions, plain or packed by gzip.", order=30
)(Kind("an IDX file", lambda name: NAME.search(name) is not None, open_idx))
