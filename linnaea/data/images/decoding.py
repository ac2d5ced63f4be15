"""The one way from an image file to pixels, used by training, prediction and every export.

This file imports nothing but the standard library, numpy, Pillow and files of its own kind, because all of them
travel as they are beside an exported model: change one and every answer changes, so exports keep the copies they
were made with.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, TiffImagePlugin

from linnaea.data.images.bands import BEGINNINGS, bands_in, grey_pages_in, read_bands
from linnaea.data.images.fits import FITS
from linnaea.data.images.opening import (
    MOST_PIXELS,
    UPRIGHT,
    DamagedError,
    UnreadableError,
    loaded,
    orientation_of,
    reason_of,
)
from linnaea.runtime.reading import read_regular

PAD_GREY = 128
GREY, COLOUR, WITH_ALPHA = 1, 3, 4  # channels that need not be bands of a TIFF
MOST_BYTES = 512 * 2**20
WHITE = 65_535  # the highest value of a 16-bit grey image
USED_BITS = (8, 10, 12, 14, 16)  # that such values are known to have
NOT_FOUND = "file not found"
BITS = 258  # of TIFF


@dataclass(frozen=True)
class Bounds:
    """What is decoded: at most so many pixels, as the header declares them.

    `white` is the value of 16-bit grey that is white; None is the highest of as many bits as the image itself uses,
    for images that belong to no set. `channels` are 3 for colours, 1 for grey, 4 for colours with alpha, or as many as
    a TIFF has bands.
    """

    max_pixels: int = MOST_PIXELS
    white: int | None = None
    channels: int = COLOUR


def decode(
    source: str | Path | bytes, size: int, fit: str = "crop", bounds: Bounds = Bounds()
) -> npt.NDArray[np.uint8]:
    """Decode an image file, or its bytes, to pixels of shape (size, size, channels), 0 to 255, usually RGB.

    EXIF rotation is applied, transparency is laid over white, 16-bit grey is scaled to 8 bits, and of an animation
    the first frame counts. A JPEG of at least four times the size is decoded at a half, a quarter or an eighth of it,
    never below twice the size, before it is resized. `fit` says how an image becomes square: "crop" keeps the centre,
    "pad" keeps all of it on grey, "stretch" bends it. Resizing is Pillow's antialiased bicubic. Where alpha is asked
    for, or bands, each is resized alone. Raises UnreadableError, also where a TIFF has other bands than are asked for,
    and DamagedError where the image is not whole.
    """
    if fit not in FITS:
        raise ValueError(f"fit is {fit!r}; expected one of {', '.join(FITS)}.")
    content = source if isinstance(source, bytes) else _content_of(Path(source))
    require_channels(content, bounds.channels)
    if bounds.channels == COLOUR:
        return np.array(square(read_rgb(content, size, bounds), size, fit))
    return np.stack([np.asarray(square(band, size, fit)) for band in _bands(content, size, bounds)], axis=2)


def read_rgb(source: str | Path | bytes, size: int, bounds: Bounds = Bounds()) -> Image.Image:
    """The whole image as RGB, upright; a large JPEG no larger than it must be for squares of `size` pixels.

    Of a TIFF of bands it is the first three, or the first as grey.
    """
    content = source if isinstance(source, bytes) else _content_of(Path(source))
    if bands_in(content) is not None:
        bands = _bands_of_tiff(content, bounds)
        return Image.merge("RGB", bands[:3] if len(bands) >= COLOUR else bands[:1] * 3)
    return _read(content, size, bounds, flat=True)


def require_channels(content: bytes, channels: int) -> None:
    """Raise UnreadableError unless an image has this many channels, or can be said in them."""
    bands = bands_in(content)
    if bands is not None and bands != channels:
        raise UnreadableError(f"it has {bands} bands; expected {channels}: train with --channels {bands} to use it")


def _bands(content: bytes, size: int, bounds: Bounds) -> list[Image.Image]:
    """The channels that are asked for, each an image of grey."""
    if bounds.channels == GREY:
        return in_channels(read_rgb(content, size, bounds), GREY)
    stacked = bands_in(content) is not None or grey_pages_in(content) == WITH_ALPHA
    if bounds.channels == WITH_ALPHA and not stacked:
        return in_channels(_read(content, size, bounds, flat=False), WITH_ALPHA)
    if content[:4] not in BEGINNINGS:
        raise UnreadableError(
            f"it is no TIFF, and only a TIFF can have {bounds.channels} channels: train with --channels 1, 3 or 4 to "
            "use it"
        )
    bands = _bands_of_tiff(content, bounds)
    if len(bands) != bounds.channels:
        raise UnreadableError(_of_other_bands(bands, bounds.channels))
    return bands


def _of_other_bands(bands: list[Image.Image], channels: int) -> str:
    told = f"it has {len(bands)} band{'s' * (len(bands) != 1)}; expected {channels}"
    width, height = bands[0].size
    if width != channels or len(bands) <= channels:
        return told
    return (
        f"{told}: it has {len(bands)} pages of {width} x {height} pixels, so its bands were saved the wrong way round; "
        'save it with tifffile.imwrite(..., photometric="minisblack", planarconfig="contig")'
    )


def in_channels(image: Image.Image, channels: int) -> list[Image.Image]:
    """An image, RGB or with alpha, as so many images of grey: its brightness, its colours, these and alpha."""
    modes = {GREY: "L", COLOUR: "RGB", WITH_ALPHA: "RGBA"}
    return list(image.convert(modes[channels]).split())


def _bands_of_tiff(content: bytes, bounds: Bounds) -> list[Image.Image]:
    try:
        values = read_bands(content, bounds.max_pixels)
        kind = values.dtype
        if kind != np.uint8 and kind.kind not in "iuf":
            raise UnreadableError(f"its bands are of {kind}; expected whole numbers from 0, of 8 or 16 bits")
        eight = values if kind == np.uint8 else _brightness_of(values, bounds.white, f"type {kind}")
    except UnreadableError:
        raise
    except ImportError:
        raise UnreadableError("bands are read by other packages: pip install tifffile imagecodecs") from None
    except ValueError as error:
        raise UnreadableError(str(error)) from None
    return [Image.fromarray(np.ascontiguousarray(eight[:, :, band])) for band in range(eight.shape[2])]


def _read(content: bytes, size: int, bounds: Bounds, *, flat: bool) -> Image.Image:
    """The image upright as RGB, `flat`, or as RGBA."""
    try:
        image, damage = loaded(content, size, bounds.max_pixels)
        read = _upright(image, bounds.white)
        read = _flat(read, bitmap=image.format == "BMP") if flat else read.convert("RGBA")
    except UnreadableError:
        raise
    except Exception as error:  # noqa: BLE001  on damaged bytes Pillow's plugins raise whatever they trip over
        raise UnreadableError(f"damaged image: {reason_of(error)}") from None
    if damage:
        raise DamagedError(damage, read)
    return read


def _content_of(path: Path) -> bytes:
    try:
        return read_regular(path, MOST_BYTES)
    except FileNotFoundError:
        raise UnreadableError(NOT_FOUND) from None
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None


def _upright(image: ImageFile.ImageFile, white: int | None) -> Image.Image:
    """The image as it was held, in eight bits."""
    bits: tuple[int, ...] = image.tag_v2.get(BITS, ()) if isinstance(image, TiffImagePlugin.TiffImageFile) else ()
    white = min(white or WHITE, 2 ** bits[0] - 1) if len(bits) == 1 and 8 < bits[0] < 16 else white
    turned = UPRIGHT.get(orientation_of(image))
    upright: Image.Image = image if turned is None else image.transpose(turned)
    return _to_eight_bits(upright, white) if upright.mode.startswith("I") or upright.mode == "F" else upright


def _flat(upright: Image.Image, *, bitmap: bool) -> Image.Image:
    """RGB, what is transparent laid over white."""
    if bitmap and upright.mode == "RGBA" and upright.getchannel("A").getextrema() == (0, 0):
        return upright.convert("RGB")  # all of it transparent: the byte was there, and nobody used it
    if upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        upright = Image.alpha_composite(ground, layer)
    return upright if upright.mode == "RGB" else upright.convert("RGB")


def _to_eight_bits(image: Image.Image, white: int | None) -> Image.Image:
    return Image.fromarray(_brightness_of(np.asarray(image), white, f"mode {image.mode}"))


def _brightness_of(values: npt.NDArray[Any], white: int | None, kind: str) -> npt.NDArray[np.uint8]:
    low, high = values.min(initial=0), values.max(initial=0)
    digits = ".4g" if values.dtype.kind == "f" else "d"
    if values.dtype.kind == "f" or low < 0 or high > WHITE:
        raise UnreadableError(
            f"values from {low:,{digits}} to {high:,{digits}} ({kind}) have no standard brightness: save it "
            "with 8 or 16 bits"
        )
    if white is None:
        white = white_of(int(high))
    if high > white:
        raise UnreadableError(f"grey values up to {high:,}, but white is {white:,}: its scale is different")
    eight: npt.NDArray[np.uint8] = _brightness(white)[values]
    return eight


def white_of(highest: int) -> int:
    """The highest value of as many bits as cameras and scanners use for values up to this one."""
    return next((1 << bits) - 1 for bits in USED_BITS if highest < 1 << bits)


@lru_cache
def _brightness(white: int) -> npt.NDArray[np.uint8]:
    """The brightness, 0 to 255, of every value up to 65,535."""
    brightness = (np.arange(WHITE + 1, dtype=np.uint32) * 255 + white // 2) // white
    return np.minimum(brightness, 255).astype(np.uint8)


def square(image: Image.Image, size: int, fit: str) -> Image.Image:
    """An image, RGB or grey, as a square of `size` pixels, by one of `FITS`."""
    width, height = image.size
    if fit == "stretch":
        return image.resize((size, size), Image.Resampling.BICUBIC)
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    scale = size / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = Image.new(image.mode, (size, size), (PAD_GREY,) * len(image.getbands()))
    canvas.paste(image.resize(inner, Image.Resampling.BICUBIC), ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return canvas
