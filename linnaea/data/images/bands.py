"""TIFF files of other bands than those of a colour image: multispectral, hyperspectral, of several stains.

This file travels as it is beside an exported model: it imports nothing of ours.
"""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import TiffImagePlugin

MOST_BANDS = 256  # of an image
PHOTOMETRIC, SAMPLES, EXTRA, ORIENTATION = 262, 277, 338, 274
COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}  # samples by the tag 262: grey, RGB, palette, CMYK, YCbCr, Lab
ALPHA = (1, 2)  # of the tag 338
BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def bands_in(content: bytes) -> int | None:
    """How many bands a TIFF has, where they are not grey or colours with or without alpha; None for other files."""
    if not content.startswith(BEGINNINGS):
        return None
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(content[:8])
        handle = io.BytesIO(content)
        handle.seek(tags.next)
        tags.load(handle)
        samples, extra = int(tags.get(SAMPLES, 1)), tuple(tags.get(EXTRA, ()))
        colours = COLOURS.get(tags.get(PHOTOMETRIC, 1), samples)
    except Exception:  # noqa: BLE001  whoever decodes it says what is wrong
        return None
    as_colours = samples == colours or (samples == colours + 1 and len(extra) == 1 and extra[0] in ALPHA)
    return None if as_colours else samples


def read_bands(content: bytes, most_pixels: int) -> npt.NDArray[Any]:
    """The first image of a TIFF as its bands (H, W, C), in its own numbers.

    A stack of grey pages is an image of as many bands. Raises ValueError for what cannot be read, ImportError where
    tifffile is missing.
    """
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            found = file.series[0]
            height, width = (found.shape[found.axes.index(axis)] for axis in "YX")
            _require_size(width, height, found.size // max(1, width * height), most_pixels)
            turned = file.pages.first.tags.get(ORIENTATION)
            if turned is not None and turned.value != 1:
                raise ValueError("bands that are turned or mirrored (TIFF tag 274): save it upright")
            values = found.asarray()
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
