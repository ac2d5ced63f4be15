"""Pixels that are decoded whenever they are looked at, for sets whose pixels fit neither memory nor disk.

What they are is what decoding all at once gives, byte for byte: only when it is done differs.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from linnaea.arrays import Images, Integers
from linnaea.data.images.pixels import IN_MEMORY_BYTES, Decoded, Recipe, decode_files, decode_in_batches
from linnaea.errors import DataError
from linnaea.runtime.containers import Located
from linnaea.runtime.machine import available_threads
from linnaea.runtime.progress import track
from linnaea.runtime.sizes import parse_bytes

ROOM = "LINNAEA_PIXEL_ROOM"
DISK_SHARE = 0.8  # of what is free
AT_ONCE = 256  # images


class Streamed:
    """Images (N, size, size, channels) of uint8 that answer as an array does, but lie in their files.

    Rows taken of them, `images[rows]`, are streamed as well; `numpy.asarray` decodes them, on all cores. Raises
    DataError where a file can no longer be read, or has changed.
    """

    dtype, ndim, streamed = np.dtype(np.uint8), 4, True

    def __init__(self, paths: Sequence[Located], sha256: Sequence[str], recipe: Recipe) -> None:
        self.paths, self.sha256, self.recipe = paths, sha256, recipe

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> tuple[int, ...]:
        """As that of an array."""
        return (len(self.paths), *self.recipe.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes the pixels would take."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __getitem__(self, rows: Any) -> Any:
        if isinstance(rows, int | np.integer):
            return self._decoded(int(rows))
        wanted = np.arange(len(self))[rows].tolist()
        return Streamed([self.paths[row] for row in wanted], [self.sha256[row] for row in wanted], self.recipe)

    def __iter__(self) -> Iterator[Images]:
        for start in range(0, len(self), AT_ONCE):
            yield from np.asarray(self[start : start + AT_ONCE])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Images:
        pixels = self.filled(np.arange(len(self)))
        return pixels if dtype is None else pixels.astype(dtype)

    def filled(self, rows: Integers, own: slice = slice(None)) -> Images:
        """The pixels of these rows (n, ...), of which only the `own` ones are decoded and the others are black."""
        images = np.zeros((len(rows), *self.recipe.shape), dtype=np.uint8)

        def fill(position: int) -> None:
            images[position] = self._decoded(int(rows[position]))

        with ThreadPoolExecutor(available_threads()) as pool:
            list(pool.map(fill, range(len(rows))[own]))
        return images

    def _decoded(self, row: int) -> Images:
        pixels, digest = self.recipe.decode(self.paths[row])
        if digest != self.sha256[row]:
            raise DataError(f"{self.paths[row]} has changed since it was first read: put it back, or start a new run.")
        return pixels


def streamed(images: Any) -> Streamed | None:
    """Images, where they are streamed."""
    return images if isinstance(images, Streamed) else None


def in_chunks(images: Images) -> Iterator[Images]:
    """Images in memory, as they are, or some of those that are streamed after the other."""
    if streamed(images) is None:
        yield images
        return
    for start in range(0, len(images), AT_ONCE):
        yield np.asarray(images[start : start + AT_ONCE])


def decoded_or_streamed(paths: Sequence[Located], recipe: Recipe, *, stream: bool = False) -> tuple[Decoded, str]:
    """The pixels of all files, streamed where that is asked for or there is no room for them; a note that says so."""
    size = len(paths) * int(np.prod(recipe.shape, dtype=np.int64))
    room = room_for_pixels()
    if not stream and size <= room:
        return decode_files(paths, recipe), ""
    sha256: list[str] = []
    failed: dict[int, str] = {}
    batches = decode_in_batches(paths, recipe, AT_ONCE)
    for part in track(batches, "reading", -(-len(paths) // AT_ONCE)):
        failed |= {len(sha256) + row: reason for row, reason in part.failed.items()}
        sha256 += part.sha256
    pixels: Any = Streamed(paths, sha256, recipe)
    why = "as requested" if stream else f"there is room for {room / 1e9:.3g} GB ({ROOM} says how much may be used)"
    return Decoded(pixels, sha256, failed), (
        f"The pixels of {len(paths):,} images, {size / 1e9:.3g} GB, are decoded whenever they are looked at: {why}."
    )


def room_for_pixels() -> int:
    """Bytes that pixels may take: what LINNAEA_PIXEL_ROOM says, else 2 GiB of memory or most of the free disk."""
    given = os.environ.get(ROOM)
    if given:
        return parse_bytes(given)
    return max(IN_MEMORY_BYTES, int(DISK_SHARE * shutil.disk_usage(tempfile.gettempdir()).free))
