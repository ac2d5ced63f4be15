"""Image files, opened and loaded whole, or with what is missing of them.

Like `decoding`, this file travels as it is beside an exported model.
"""

import io
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

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

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
SPARE = 2  # a scaled JPEG keeps this many pixels for each one that is asked for
MOST_PIXELS = 50_000_000
UNLIKELY = (91, 164, 37, 90)  # a ground that shows where a decoder has written nothing
BLACK = (0, 0, 0, 0)
MISSING_GREY = (128, (128, 128, 128), (127, 127, 127, 127), (128, 128, 128, 128))
COVERED = ("JPEG", "MPO", "WEBP")  # formats whose decoders write every row, or say that they cannot
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
COMPRESSION, JPEG_STRIPS = 259, 7  # of TIFF; and where its strips or tiles lie, and how long they are:
PARTS = ((273, 279), (324, 325))
STRIP_ZEROS = 64


class UnreadableError(ValueError):
    """The bytes are no image that can be decoded; the message says why."""


class DamagedError(UnreadableError):
    """Part of the image is missing or wrong; `image` is what can be seen of it, RGB, black where nothing is."""

    def __init__(self, reason: str, image: Image.Image) -> None:
        super().__init__(f"damaged image: {reason}")
        self.damage, self.image = reason, image


def format_of(content: bytes) -> str | None:
    """The first format that the bytes of an image may be in, by how they begin; None for those of no format we know."""
    accepting = ((name, Image.OPEN[name][1]) for name in FORMATS)
    return next((name for name, accepts in accepting if accepts is None or accepts(content[:16]) is True), None)


def open_image(content: bytes, max_pixels: int = MOST_PIXELS) -> ImageFile.ImageFile:
    """The header of an image file's bytes, in the formats that we know; raises UnreadableError for anything else.

    Not `Image.open`, which tries every format, some by starting other programs, and warns of large images.
    """
    name = format_of(content)
    if name is None:
        raise UnreadableError(f"not an image in a supported format ({', '.join(FORMATS)})")
    try:
        if name == "WEBP":
            _require_pixels(webp_size(content) or (0, 0), max_pixels)
        image = Image.OPEN[name][0](io.BytesIO(content), "")
        _require_pixels(image.size, max_pixels)
        return image
    except UnreadableError:
        raise
    except Exception as error:  # noqa: BLE001
        raise UnreadableError(f"damaged image: {reason_of(error)}") from None


def orientation_of(image: Image.Image) -> int:
    """How the camera was held, 1 to 8, by EXIF; 1 where that cannot be read."""
    try:
        given = image.getexif().get(ORIENTATION)
    except Exception:  # noqa: BLE001  a broken remark does not make the image unreadable
        return 1
    return given if isinstance(given, int) and given in UPRIGHT else 1


def reason_of(error: Exception) -> str:
    """What a decoder tripped over, in words."""
    if isinstance(error, MemoryError):
        return "it needs more memory than is available"
    return str(error) or type(error).__name__


def _require_pixels(size: tuple[int, int], most: int) -> None:
    width, height = size
    if width * height > most:
        raise UnreadableError(
            f"{width:,} x {height:,} pixels is over the limit of {most:,}: raise --max-pixels to decode it"
        )


def loaded(content: bytes, size: int, most: int) -> tuple[ImageFile.ImageFile, str]:
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
    if image.format in COVERED or (image.format == "GIF" and _has_own_ground(image)):
        ground = BLACK  # as it is anyway
    else:
        image.im = Image.new(image.mode, image.size, _colour(image.mode, ground)).im
    try:
        image.load()
    except Exception as error:
        image.tile = []  # what is there by now is all that there will be
        if image.im is None or all(_bare(image, ground)):
            raise
        return reason_of(error)
    return ""


def _has_own_ground(image: ImageFile.ImageFile) -> bool:
    """Whether a GIF begins on a ground of its own: transparent, or where its first frame covers a part by design."""
    return "transparency" in image.info or image.tile[0][1] != (0, 0, *image.size)


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
