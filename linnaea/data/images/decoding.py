"""The one way from an image file to pixels, used by training, prediction and every export.

This file imports nothing but the standard library, numpy, Pillow and two files of its own kind, because all three
travel as they are beside an exported model: change one and every answer changes, so exports keep the copies they
were made with.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import (  # the plugins register themselves in Image.OPEN
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,
    WebPImagePlugin,  # noqa: F401
)

from linnaea.data.images.damage import damage_in, ends_in_zeros, filled_up, webp_ends_in_zeros, webp_size
from linnaea.data.images.fits import FITS
from linnaea.runtime.reading import read_regular

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
SPARE = 2  # a scaled JPEG keeps this many pixels for each one that is asked for
PAD_GREY = (128, 128, 128)
MOST_BYTES = 512 * 2**20
MOST_PIXELS = 50_000_000
WHITE = 65_535  # the highest value of a 16-bit grey image
USED_BITS = (8, 10, 12, 14, 16)  # that such values are known to have
UNLIKELY = (91, 164, 37, 90)  # a ground that shows where a decoder has written nothing
BLACK = (0, 0, 0, 0)
MISSING_GREY = (128, (128, 128, 128), (127, 127, 127, 127), (128, 128, 128, 128))
COVERED = ("JPEG", "MPO", "WEBP")  # formats whose decoders write every row, or say that they cannot
NOT_FOUND = "file not found"
ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BITS, COMPRESSION, JPEG_STRIPS = 258, 259, 7  # of TIFF; and where its strips or tiles lie, and how long they are:
PARTS = ((273, 279), (324, 325))
STRIP_ZEROS = 64


class UnreadableError(ValueError):
    """The bytes are no image that can be decoded; the message says why."""


class DamagedError(UnreadableError):
    """Part of the image is missing or wrong; `image` is what can be seen of it, RGB, black where nothing is."""

    def __init__(self, reason: str, image: Image.Image) -> None:
        super().__init__(f"damaged image: {reason}")
        self.damage, self.image = reason, image


@dataclass(frozen=True)
class Bounds:
    """What is decoded: at most so many pixels, as the header declares them.

    `white` is the value of 16-bit grey that is white; None is the highest of as many bits as the image itself uses,
    for images that belong to no set.
    """

    max_pixels: int = MOST_PIXELS
    white: int | None = None


def decode(
    source: str | Path | bytes, size: int, fit: str = "crop", bounds: Bounds = Bounds()
) -> npt.NDArray[np.uint8]:
    """Decode an image file, or its bytes, to RGB pixels of shape (size, size, 3), 0 to 255.

    EXIF rotation is applied, transparency is laid over white, 16-bit grey is scaled to 8 bits, and of an animation
    the first frame counts. A JPEG of at least four times the size is decoded at a half, a quarter or an eighth of it,
    never below twice the size, before it is resized. `fit` says how an image becomes square: "crop" keeps the centre,
    "pad" keeps all of it on grey, "stretch" bends it. Resizing is Pillow's antialiased bicubic. Raises UnreadableError,
    and DamagedError where the image is not whole.
    """
    if fit not in FITS:
        raise ValueError(f"fit is {fit!r}; expected one of {', '.join(FITS)}.")
    return np.array(square(read_rgb(source, size, bounds), size, fit))


def read_rgb(source: str | Path | bytes, size: int, bounds: Bounds = Bounds()) -> Image.Image:
    """The whole image as RGB, upright; a large JPEG no larger than it must be for squares of `size` pixels."""
    content = source if isinstance(source, bytes) else _content_of(Path(source))
    try:
        image, damage = _decoded(content, size, bounds.max_pixels)
        rgb = _to_rgb(image, bounds.white)
    except UnreadableError:
        raise
    except Exception as error:  # noqa: BLE001  on damaged bytes Pillow's plugins raise whatever they trip over
        raise UnreadableError(f"damaged image: {_reason(error)}") from None
    if damage:
        raise DamagedError(damage, rgb)
    return rgb


def open_image(content: bytes, max_pixels: int = MOST_PIXELS) -> ImageFile.ImageFile:
    """The header of an image file's bytes, in the formats that we know; raises UnreadableError for anything else.

    Not `Image.open`, which tries every format, some by starting other programs, and warns of large images.
    """
    for name in FORMATS:
        make, accepts = Image.OPEN[name]
        if accepts is None or accepts(content[:16]) is True:
            try:
                if name == "WEBP":
                    _require_pixels(webp_size(content) or (0, 0), max_pixels)
                image = make(io.BytesIO(content), "")
                _require_pixels(image.size, max_pixels)
                return image
            except UnreadableError:
                raise
            except Exception as error:  # noqa: BLE001
                raise UnreadableError(f"damaged image: {_reason(error)}") from None
    raise UnreadableError(f"not an image in a supported format ({', '.join(FORMATS)})")


def orientation_of(image: Image.Image) -> int:
    """How the camera was held, 1 to 8, by EXIF; 1 where that cannot be read."""
    try:
        given = image.getexif().get(ORIENTATION)
    except Exception:  # noqa: BLE001  a broken remark does not make the image unreadable
        return 1
    return given if isinstance(given, int) and given in UPRIGHT else 1


def _content_of(path: Path) -> bytes:
    try:
        return read_regular(path, MOST_BYTES)
    except FileNotFoundError:
        raise UnreadableError(NOT_FOUND) from None
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "it needs more memory than is available"
    return str(error) or type(error).__name__


def _require_pixels(size: tuple[int, int], most: int) -> None:
    width, height = size
    if width * height > most:
        raise UnreadableError(
            f"{width:,} x {height:,} pixels is over the limit of {most:,}: raise --max-pixels to decode it"
        )


def _decoded(content: bytes, size: int, most: int) -> tuple[ImageFile.ImageFile, str]:
    """The image as its format has it, and what is wrong with it, "" for nothing."""
    image = _opened(content, size, most)
    damage = damage_in(content, str(image.format))
    fault = _load(image, UNLIKELY)
    if fault or any(_bare(image, UNLIKELY)):  # rows that nothing was written to: are they as black as their ground?
        image = _opened(content, size, most)
        fault = _load(image, BLACK)
        damage = damage or fault or ("some of its rows are missing" if any(_bare(image, BLACK)) else "")
    return image, damage or _lost_tail(content, image, size, most)


def _opened(content: bytes, size: int, most: int) -> ImageFile.ImageFile:
    image = open_image(content, most)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _require_pixels((image.tag_v2.get(322, 1), image.tag_v2.get(323, 1)), most)  # one of its tiles
    return _scaled(image, size)


def _scaled(image: ImageFile.ImageFile, size: int) -> ImageFile.ImageFile:
    """Let libjpeg's inverse cosine transform do the coarse part of the shrinking, several times faster."""
    scale = min(image.size) / (SPARE * size)
    if isinstance(image, JpegImagePlugin.JpegImageFile) and scale >= 2:
        image.draft(None, (int(image.width / scale), int(image.height / scale)))
    return image


def _load(image: ImageFile.ImageFile, ground: tuple[int, ...]) -> str:
    """Decode onto a ground of one colour, which shows where nothing was decoded; returns what stopped the decoder."""
    if image.format in COVERED or (image.format == "GIF" and image.tile[0][1] != (0, 0, *image.size)):
        ground = BLACK  # as it is anyway; a GIF's first frame may cover a part by design
    else:
        image.im = Image.new(image.mode, image.size, _colour(image.mode, ground)).im
    try:
        image.load()
    except Exception as error:
        image.tile = []  # what is there by now is all that there will be
        if image.im is None or all(_bare(image, ground)):
            raise
        return _reason(error)
    return ""


@lru_cache
def _colour(mode: str, ground: tuple[int, ...]) -> int | tuple[int, ...]:
    bands = len(Image.new(mode, (1, 1)).getbands())
    return ground[:bands] if bands > 1 else ground[0]


@lru_cache
def _pixel(mode: str, ground: tuple[int, ...]) -> Any:
    return Image.new(mode, (1, 1), _colour(mode, ground)).getpixel((0, 0))


def _bare(image: Image.Image, ground: tuple[int, ...]) -> Iterator[bool]:
    """Whether the first row, and whether the last, are of one colour; bitmaps begin with the last."""
    for top in (0, image.height - 1):
        yield image.getpixel((0, top)) == _pixel(image.mode, ground) and _is_row(image, top, ground)


def _is_row(image: Image.Image, top: int, ground: tuple[int, ...]) -> bool:
    row = Image.new(image.mode, (image.width, 1), _colour(image.mode, ground))
    return _cut_out(image, (0, top, image.width, top + 1)).tobytes() == row.tobytes()


def _lost_tail(content: bytes, image: ImageFile.ImageFile, size: int, most: int) -> str:
    """What is lost without a trace but the image itself, "" for nothing."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return "" if all(_is_whole(content, image, *tags) for tags in PARTS) else "its last strips are missing"
    if image.format == "WEBP":
        lost = webp_ends_in_zeros(content) and any(low < high for low, high in _corner(image, 16))
        return "its end is missing: there are only zeros" if lost else ""
    if (
        isinstance(image, JpegImagePlugin.JpegImageFile)
        and image.getpixel((image.width - 1, image.height - 1)) in MISSING_GREY
    ):
        other = _opened(filled_up(content), size, most)  # libjpeg makes grey of what is missing, and goes on
        other.load()
        return "its end is missing" if other.tobytes() != image.tobytes() else ""
    return ""


def _corner(image: Image.Image, side: int) -> list[Any]:
    """The lowest and highest value of each band in the lower right corner."""
    left, top = max(0, image.width - side), max(0, image.height - side)
    return [band.getextrema() for band in _cut_out(image, (left, top, *image.size)).split()]


def _cut_out(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """As `crop`, which heeds a setting of Pillow that others may have moved."""
    left, top, right, bottom = box
    return image.resize((right - left, bottom - top), Image.Resampling.NEAREST, box=box)


def _is_whole(content: bytes, image: TiffImagePlugin.TiffImageFile, starts: int, lengths: int) -> bool:
    """Whether every compressed strip or tile of a TIFF has its end: of JPEG its mark, of others no run of zeros."""
    compression = image.tag_v2.get(COMPRESSION, 1)
    parts = zip(image.tag_v2.get(starts, ()), image.tag_v2.get(lengths, ()), strict=False)
    if compression == JPEG_STRIPS:
        return all(content.rfind(b"\xff\xd9", start, start + length) >= 0 for start, length in parts)
    return compression == 1 or not any(ends_in_zeros(content, *part, STRIP_ZEROS) for part in parts)


def _to_rgb(image: ImageFile.ImageFile, white: int | None) -> Image.Image:
    bits: tuple[int, ...] = image.tag_v2.get(BITS, ()) if isinstance(image, TiffImagePlugin.TiffImageFile) else ()
    white = min(white or WHITE, 2 ** bits[0] - 1) if len(bits) == 1 and 8 < bits[0] < 16 else white
    bitmap, turned = image.format == "BMP", UPRIGHT.get(orientation_of(image))
    upright: Image.Image = image if turned is None else image.transpose(turned)
    if upright.mode.startswith("I") or upright.mode == "F":
        upright = _to_eight_bits(upright, white)
    if bitmap and upright.mode == "RGBA" and upright.getchannel("A").getextrema() == (0, 0):
        return upright.convert("RGB")  # all of it transparent: the byte was there, and nobody used it
    if upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        upright = Image.alpha_composite(ground, layer)
    return upright if upright.mode == "RGB" else upright.convert("RGB")


def _to_eight_bits(image: Image.Image, white: int | None) -> Image.Image:
    values = np.asarray(image)
    low, high = values.min(initial=0), values.max(initial=0)
    digits = ".4g" if values.dtype.kind == "f" else "d"
    if values.dtype.kind == "f" or low < 0 or high > WHITE:
        raise UnreadableError(
            f"values from {low:,{digits}} to {high:,{digits}} (mode {image.mode}) have no standard brightness: save it "
            "with 8 or 16 bits"
        )
    if white is None:
        white = white_of(int(high))
    if high > white:
        raise UnreadableError(f"grey values up to {high:,}, but white is {white:,}: its scale is different")
    return Image.fromarray(_brightness(white)[values])


def white_of(highest: int) -> int:
    """The highest value of as many bits as cameras and scanners use for values up to this one."""
    return next((1 << bits) - 1 for bits in USED_BITS if highest < 1 << bits)


@lru_cache
def _brightness(white: int) -> npt.NDArray[np.uint8]:
    """The brightness, 0 to 255, of every value up to 65,535."""
    brightness = (np.arange(WHITE + 1, dtype=np.uint32) * 255 + white // 2) // white
    return np.minimum(brightness, 255).astype(np.uint8)


def square(image: Image.Image, size: int, fit: str) -> Image.Image:
    """An RGB image as a square of `size` pixels, by one of `FITS`."""
    width, height = image.size
    if fit == "stretch":
        return image.resize((size, size), Image.Resampling.BICUBIC)
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    scale = size / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = Image.new("RGB", (size, size), PAD_GREY)
    canvas.paste(image.resize(inner, Image.Resampling.BICUBIC), ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return canvas
