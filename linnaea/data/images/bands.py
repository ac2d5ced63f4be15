"""TIFF files of other bands than those of a colour image: multispectral, hyperspectral, of several stains.

This file travels as it is beside an exported model: it imports nothing of ours.
"""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import TiffImagePlugin

MOST_BANDS = 256  # of an image
WIDTH, HEIGHT, PHOTOMETRIC, SAMPLES, EXTRA, ORIENTATION = 256, 257, 262, 277, 338, 274
COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}  # samples by the tag 262: grey, RGB, palette, CMYK, YCbCr, Lab
ALPHA = (1, 2)  # of the tag 338
BEGINNINGS = {b"II*\0": 8, b"MM\0*": 8, b"II+\0": 16, b"MM\0+": 16}  # and how long the header is: BigTIFF's longer


def bands_in(content: bytes) -> int | None:
    """How many bands a TIFF has, where they are not grey or colours with or without alpha; None for other files."""
    try:
        tags = next(_directories(content))
        samples, extra = int(tags.get(SAMPLES, 1)), tuple(tags.get(EXTRA, ()))
        colours = COLOURS.get(tags.get(PHOTOMETRIC, 1), samples)
    except Exception:  # noqa: BLE001  whoever decodes it says what is wrong
        return None
    as_colours = samples == colours or (samples == colours + 1 and len(extra) == 1 and extra[0] in ALPHA)
    return None if as_colours else samples


def size_of_bands(content: bytes) -> tuple[int, int] | None:
    """The width and the height of a TIFF that has bands; None for other files."""
    if bands_in(content) is None:
        return None
    tags = next(_directories(content))
    return int(tags[WIDTH]), int(tags[HEIGHT])


def grey_pages_in(content: bytes) -> int:
    """How many pages a TIFF has, where all are grey and of one size; 0 for other files."""
    try:
        pages = [(*map(tags.get, (WIDTH, HEIGHT)), tags.get(SAMPLES, 1)) for tags in _directories(content)]
    except Exception:  # noqa: BLE001  as above
        return 0
    return len(pages) if pages and pages[0][-1] == 1 and len(set(pages)) == 1 else 0


def _directories(content: bytes) -> Iterator[TiffImagePlugin.ImageFileDirectory_v2]:
    """The tags of each page of a TIFF, of the first ones where there are more than an image may have bands."""
    length = BEGINNINGS.get(content[:4])
    if length is None:
        return
    handle = io.BytesIO(content)
    tags = TiffImagePlugin.ImageFileDirectory_v2(content[:length])
    for _ in range(MOST_BANDS + 1):
        if not tags.next:
            return
        handle.seek(tags.next)
        tags.load(handle)
        yield tags


def read_bands(content: bytes, most_pixels: int) -> npt.NDArray[Any]:
    """The first image of a TIFF as its bands (H, W, C), in its own numbers.

    A stack of grey pages is an image of as many bands, and 0 stands where there are no data (GDAL's tag 42113). Raises
    ValueError for what cannot be read, ImportError where tifffile is missing.
    """
    import tifffile

    if content[:4] not in BEGINNINGS:
        raise ValueError("it is no TIFF, and only a TIFF has bands that are neither grey nor colours")
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            found = file.series[0]
            height, width = (found.shape[found.axes.index(axis)] for axis in "YX")
            _require_size(width, height, found.size // max(1, width * height), most_pixels)
            turned = file.pages.first.tags.get(ORIENTATION)
            if turned is not None and turned.value != 1:
                raise ValueError("bands that are turned or mirrored (TIFF tag 274): save it upright")
            values = found.asarray()
            missing = file.pages.first.nodata
            values = values if missing == 0 else np.where(values == missing, values.dtype.type(0), values)
            places = [place for place, axis in enumerate(found.axes) if axis not in "YX" and values.shape[place] > 1]
    except (MemoryError, ValueError):
        raise
    except Exception as error:  # noqa: BLE001  its decoders raise errors of their own
        raise ValueError(f"damaged image: {error}") from None
    if len(places) > 1:
        raise ValueError(f"an image of {values.ndim} dimensions ({found.axes}): expected height, width and bands")
    upright = np.moveaxis(values, [found.axes.index("Y"), found.axes.index("X")], [0, 1])
    return upright.reshape(height, width, -1)


def _require_size(width: int, height: int, bands: int, most_pixels: int) -> None:
    if width * height > most_pixels:
        raise ValueError(
            f"{width:,} x {height:,} pixels is over the limit of {most_pixels:,}: raise --max-pixels to decode it"
        )
    if bands > MOST_BANDS:
        raise ValueError(f"it has {bands:,} bands; expected at most {MOST_BANDS}")
