"""Decoded images: a recipe, and the pixels of many files made by it."""

import errno
import hashlib
import os
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from linnaea.arrays import Images
from linnaea.data.images import cache
from linnaea.data.images.bands import size_of_bands
from linnaea.data.images.decoding import COLOUR, MOST_BYTES, NOT_FOUND, Bounds, decode, in_channels, square
from linnaea.data.images.fits import FITS
from linnaea.data.images.opening import MOST_PIXELS, DamagedError, UnreadableError, open_image
from linnaea.dataset import Excluded
from linnaea.errors import UnreadableImageError
from linnaea.runtime.arguments import require_channels, require_count, require_one_of, require_picture_size
from linnaea.runtime.containers import Located, Member
from linnaea.runtime.machine import available_threads
from linnaea.runtime.progress import track
from linnaea.runtime.reading import read_regular

IN_MEMORY_BYTES = 2 * 2**30
MACHINE_TROUBLE = (errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM)  # says nothing about the file
KEPT_AT_ONCE = 64 * 2**20  # bytes of pixels decoded between two writes to the cache
ROWS_AT_ONCE = 1024
PROBE = 32
LOOKED_AT, MOST_SIDE = 50, 2**31
QUICK_SECONDS = 0.001


@dataclass(frozen=True)
class Recipe:
    """How a file becomes pixels: `size` is the side of the square in pixels, `fit` crop, pad or stretch.

    An image whose header declares more than `max_pixels` is not decoded. `white` is the value of 16-bit grey images
    that is white, less than 65,535 where a set uses fewer bits; None, where there was none, goes by each image.
    `channels` are 3 for colours, 1 for grey, 4 for colours with alpha, or as many as a TIFF has bands.
    """

    size: int
    fit: str = "crop"
    max_pixels: int = MOST_PIXELS
    white: int | None = None
    channels: int = COLOUR

    def __post_init__(self) -> None:
        require_picture_size("img_size", self.size)
        require_one_of(FITS, "fit", self.fit)
        require_count("max_pixels", self.max_pixels)
        if self.white is not None:
            require_count("white", self.white)
        require_channels("channels", self.channels)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types; channels are said where they are not those of colours."""
        told = asdict(self)
        return told if self.channels != COLOUR else {name: told[name] for name in told if name != "channels"}

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the pixels of an image."""
        return self.size, self.size, self.channels

    @property
    def bounds(self) -> Bounds:
        """What of it is asked for before an image is made square."""
        return Bounds(self.max_pixels, self.white, self.channels)

    @property
    def namespace(self) -> str:
        """What names what was made by this recipe in the cache."""
        unusual = "" if self.bounds == Bounds() else f" {self.max_pixels} {self.white} {self.channels}"
        return f"{self.size} {self.fit}{unusual} {cache.decoder_version()}"

    def decode(self, source: Located | bytes) -> tuple[Images, str]:
        """Pixels of shape (size, size, channels) and the SHA-256 of the file's bytes; raises UnreadableImageError.

        Where the image is not whole, that is a DamagedImageError with what can be seen of it.
        """
        try:
            content = source if isinstance(source, bytes) else read_content(source)
            return decode(content, self.size, self.fit, self.bounds), hashlib.sha256(content).hexdigest()
        except DamagedError as error:
            raise DamagedImageError(error, self._salvaged(error)) from None
        except UnreadableError as error:
            raise UnreadableImageError(str(error)) from None

    def _salvaged(self, error: DamagedError) -> Images:
        """What can be seen of a damaged image."""
        bands = in_channels(error.image, self.channels)
        return np.stack([np.asarray(square(band, self.size, self.fit)) for band in bands], axis=2)


class DamagedImageError(UnreadableImageError):
    """An image of which part is missing or wrong; `pixels` (size, size, channels) is what can be seen of it."""

    def __init__(self, error: DamagedError, pixels: Images) -> None:
        super().__init__(str(error))
        self.damage, self.pixels = error.damage, pixels


class Opened(ABC):
    """What came of a list of files: `sha256` of each, "" where it failed, and `failed`, from position to reason."""

    sha256: list[str]
    failed: dict[int, str]

    @abstractmethod
    def take(self, rows: Sequence[int]) -> Self:
        """The rows at these positions, all of which were read."""

    def kept(self) -> Self:
        """The rows that were read."""
        return self.take([row for row in range(len(self.sha256)) if row not in self.failed]) if self.failed else self

    def excluded(self, ids: Sequence[str]) -> list[Excluded]:
        """The failures as entries for the dataset's list of what was left out."""
        return [Excluded(ids[row], reason) for row, reason in self.failed.items()]


@dataclass(frozen=True)
class Decoded(Opened):
    """The pixels of a list of files, `images` (N, size, size, channels), zero where one failed.

    `damaged` are those, from position to reason, that are not whole and were asked for nevertheless.
    """

    images: Images
    sha256: list[str]
    failed: dict[int, str]
    damaged: dict[int, str] = field(default_factory=dict)

    def take(self, rows: Sequence[int]) -> "Decoded":
        """The rows at these positions, all of which were read."""
        return Decoded(rows_of(self.images, rows), [self.sha256[row] for row in rows], {})


def decode_files(paths: Sequence[Located], recipe: Recipe, *, keep: bool = True, salvage: bool = False) -> Decoded:
    """Decode every file once, on all cores, and never again while it stays as it is, where pixels are kept.

    With `salvage` an image that is not whole is decoded as far as it goes, and listed. Large sets lie in a temporary
    memory-mapped file.
    """
    images, namespace = _allocate((len(paths), *recipe.shape)), f"pixels {recipe.namespace}"
    sha256, failed, damaged = cache.recall(paths, namespace, images), dict[int, str](), dict[int, str]()

    def fill(row: int) -> None:
        try:
            images[row], sha256[row] = recipe.decode(paths[row])
        except UnreadableImageError as error:
            if salvage and isinstance(error, DamagedImageError):
                images[row], damaged[row] = error.pixels, error.damage
            else:
                failed[row] = str(error)

    missing = [row for row, digest in enumerate(sha256) if not digest]
    per_part = max(1, KEPT_AT_ONCE // max(1, images[:1].nbytes))
    parts = [missing[start : start + per_part] for start in range(0, len(missing), per_part)]

    def work(keeper: Executor) -> Iterator[None]:
        writing: Future[None] = keeper.submit(lambda: None)
        for part in parts:
            stamps = {row: cache.stamp_of(paths[row]) for row in part} if keep else {}
            yield from fill_rows(fill, part)
            done = [row for row in part if keep and sha256[row]]
            if done:
                writing.result()
                given, digests = [stamps[row] for row in done], [sha256[row] for row in done]
                writing = keeper.submit(cache.keep, given, digests, namespace, _span(images, done))
        writing.result()

    with ThreadPoolExecutor(1) as keeper:  # what is decoded is written while the next part is
        for _ in track(work(keeper), "decoding", len(missing)):
            pass
    return Decoded(images, sha256, dict(sorted(failed.items())), damaged)


def fill_rows(fill: Callable[[int], None], rows: Sequence[int]) -> Iterator[None]:
    """Fill every row; threads help only where an image takes longer than the interpreter lock's to and fro."""
    started, tried = time.perf_counter(), 0
    while tried < min(PROBE, len(rows)) and time.perf_counter() - started < PROBE * QUICK_SECONDS:
        fill(rows[tried])
        tried += 1
        yield
    if time.perf_counter() - started < tried * QUICK_SECONDS:
        yield from map(fill, rows[tried:])
        return
    with ThreadPoolExecutor(available_threads()) as pool:
        yield from pool.map(fill, rows[tried:])


def decode_in_batches(
    paths: Sequence[Located], recipe: Recipe, batch_size: int = 256, *, salvage: bool = False
) -> Iterator[Decoded]:
    """The same, a batch at a time, for sets that need not be kept."""
    for start in range(0, len(paths), batch_size):
        yield decode_files(paths[start : start + batch_size], recipe, keep=False, salvage=salvage)


def usual_side(paths: Sequence[Located]) -> float | None:
    """The median of the shorter sides, in pixels, of some fifty of the files; None where none can be read."""
    sides = []
    for path in paths[:: max(1, len(paths) // LOOKED_AT)]:
        try:
            content = read_content(path)
            size = size_of_bands(content)
            if size is None:
                with open_image(content, max_pixels=MOST_SIDE**2) as image:
                    size = image.size
            sides.append(min(size))
        except UnreadableError:
            continue  # decoding lists it with its reason
    return float(np.median(sides)) if sides else None


def rows_of(images: Images, rows: Sequence[int] | npt.NDArray[np.int64]) -> Images:
    """These rows of images (N, S, S, 3), in memory or, like the whole, in a temporary file where they are too many."""
    if getattr(images, "streamed", False):  # they stay so
        streamed: Images = images[rows]
        return streamed
    taken = _allocate((len(rows), *images.shape[1:]))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        taken[start : start + ROWS_AT_ONCE] = images[rows[start : start + ROWS_AT_ONCE]]
    return taken


def _span(images: Images, rows: Sequence[int]) -> Images:
    """Rising rows of images, not copied where none between them is left out."""
    if rows[-1] - rows[0] == len(rows) - 1:
        return images[rows[0] : rows[-1] + 1]
    return images[rows]


def _allocate(shape: tuple[int, ...]) -> Images:
    """Room for images, in a temporary file beyond 2 GiB; raises OSError where the disk has not so much."""
    size = int(np.prod(shape, dtype=np.int64))
    if size <= IN_MEMORY_BYTES:
        return np.zeros(shape, dtype=np.uint8)
    with tempfile.TemporaryFile(prefix="linnaea-pixels-") as handle:  # the mapping outlives the handle, then vanishes
        try:
            if hasattr(os, "posix_fallocate"):  # a full disk would otherwise kill the process at some later write
                os.posix_fallocate(handle.fileno(), 0, size)
        except OSError as error:
            raise OSError(error.errno, f"no room for {size:,} bytes of pixels", tempfile.gettempdir()) from None
        return np.memmap(handle, dtype=np.uint8, mode="w+", shape=shape)


def read_content(path: Located) -> bytes:
    """The bytes of a file that is there, is regular, not empty and not too large; raises UnreadableError."""
    try:
        content = path.read_bytes() if isinstance(path, Member) else read_regular(path, MOST_BYTES)
    except FileNotFoundError:
        raise UnreadableError(NOT_FOUND) from None
    except OSError as error:
        if error.errno in MACHINE_TROUBLE:
            raise
        raise UnreadableError(f"cannot be read: {error.strerror}") from None
    except ValueError as error:  # a name that cannot be one, or the packed file around it
        raise UnreadableError(f"cannot be read: {error}") from None
    if not content:
        raise UnreadableError("empty file (0 bytes)")
    return content
