"""Probabilities that lie on disk, class by class, where there are too many of them for memory."""

import errno
import os
import tempfile
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.arrays import Float32

SCALAR = np.dtype(np.float32)


class _Room:
    """A temporary file of so many bytes that has no name; raises OSError where the disk has not so much."""

    def __init__(self, size: int) -> None:
        with tempfile.TemporaryFile(prefix="linnaea-scores-") as file:
            self.descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.descriptor)
        try:
            if size and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self.descriptor, 0, size)
        except OSError as error:
            where = tempfile.gettempdir()
            raise OSError(error.errno, f"{size:,} bytes of probabilities do not fit", where) from None


class Columns:
    """Numbers (n, K) in a temporary file that goes with the object; to be used like an array, as far as it goes.

    Rows are written by `[start:stop]`; read are `[:, k]`, `[rows, k]` and `[rows]`. A column is read from the disk
    whenever it is asked for; `[rows]`, positions (m,) or a mask (n,), reads nothing.
    """

    def __init__(self, images: int, classes: int) -> None:
        self.shape = (images, classes)
        self._length = images
        self._rows: npt.NDArray[Any] | None = None
        self._room = _Room(images * classes * SCALAR.itemsize)

    def __setitem__(self, rows: slice, values: npt.NDArray[np.floating[Any]]) -> None:
        """Put rows (b, K) where they belong, as `[start:stop]`."""
        for number, column in enumerate(np.ascontiguousarray(values.T, dtype=SCALAR)):
            place = (number * self._length + rows.start) * SCALAR.itemsize
            if os.pwrite(self._room.descriptor, column.data, place) != column.nbytes:
                raise OSError(errno.ENOSPC, "probabilities could not be written", tempfile.gettempdir())

    def __getitem__(self, key: Any) -> Any:
        """A column or some of it as an array; or other rows of all columns, as `Columns`."""
        if isinstance(key, tuple):
            rows, number = key
            return self._column(number)[rows]
        chosen = object.__new__(Columns)
        chosen._room, chosen._length = self._room, self._length
        chosen._rows = np.arange(self.shape[0])[key] if self._rows is None else self._rows[key]
        chosen.shape = (len(chosen._rows), self.shape[1])
        return chosen

    def _column(self, number: int) -> Float32:
        place = range(self.shape[1])[number] * self._length * SCALAR.itemsize
        content = os.pread(self._room.descriptor, self._length * SCALAR.itemsize, place)
        if len(content) != self._length * SCALAR.itemsize:
            raise OSError(errno.EIO, "probabilities could not be read again", tempfile.gettempdir())
        column = np.frombuffer(content, dtype=SCALAR)
        return column if self._rows is None else column[self._rows]
