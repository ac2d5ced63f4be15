"""What no bundle may hold, found by what is in a file.

Pickles, which are programs; data that lies elsewhere; headers so long that reading them is an attack.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from linnaea.classifier.content import MEND
from linnaea.classifier.pickled import why_a_program
from linnaea.errors import BundleError
from linnaea.runtime.reading import open_regular

LONGEST_HEADER = 1 << 24  # bytes of the header of safetensors


def require_harmless(folder: Path, names: Iterable[str]) -> None:
    """Raise BundleError where a file holds a pickle, points to data elsewhere, or has a header beyond any measure."""
    for name in names:
        file = folder / name
        try:
            with open_regular(file) as stream:
                told = _why_not(stream, file.suffix.lower())
        except OSError as error:
            raise BundleError(f"{file} cannot be read ({error.strerror or error}): {MEND}.") from None
        if told:
            raise BundleError(f"{file} {told}: expected a bundle as Linnaea writes it.")


def _why_not(stream: IO[bytes], suffix: str) -> str:
    """What is wrong with a file, in words; nothing of a harmless one."""
    told = ""
    if suffix == ".safetensors":
        told = _long_header(stream)
    elif suffix == ".onnx":
        from linnaea.classifier.onnx_wire import why_not_whole

        told = why_not_whole(stream)
    stream.seek(0)
    return told or why_a_program(stream)


def _long_header(stream: IO[bytes]) -> str:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    claimed = int.from_bytes(stream.read(8), "little")
    if size < 8 or claimed > size - 8:
        return f"is no whole safetensors file: its header has {claimed:,} bytes, of {size:,} in all"
    if claimed > LONGEST_HEADER:
        return f"has a header of {claimed:,} bytes, where {LONGEST_HEADER:,} are the most"
    return ""
