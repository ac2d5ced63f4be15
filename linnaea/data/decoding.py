"""The one way from an image file to pixels, used by training, prediction and every export.

This file imports nothing but the standard library, numpy and Pillow, because it travels verbatim beside an exported
model: change it and every answer changes, so exports keep the copy they were made with.
"""

import io
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import (  # the plugins register themselves in Image.OPEN
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
FITS = ("crop", "pad", "stretch")
SPARE = 2  # a scaled JPEG keeps this many pixels for each one that is asked for
PAD_GREY = (128, 128, 128)
MOST_PIXELS = 178_956_970  # where Pillow refuses by default; a number here, so that no setting of Pillow moves it


class UnreadableError(ValueError):
    """The bytes are no image that can be decoded; the message says why."""


def decode(source: str | Path | bytes, size: int, fit: str = "crop") -> npt.NDArray[np.uint8]:
    """Decode an image file, or its bytes, to RGB pixels of shape (size, size, 3), 0 to 255.

    EXIF rotation is applied, transparency is laid over white, 16-bit grey is scaled to 8 bits, and of an animation
    the first frame counts. A JPEG of at least four times the size is decoded at a half, a quarter or an eighth of it,
    never below twice the size, before it is resized. `fit` says how a picture becomes square: "crop" keeps the centre,
    "pad" keeps all of it on grey, "stretch" bends it. Resizing is Pillow's antialiased bicubic. Raises UnreadableError.
    """
    if fit not in FITS:
        raise ValueError(f"fit is {fit!r}; expected one of {', '.join(FITS)}.")
    return np.array(square(read_rgb(source, size), size, fit))


def read_rgb(source: str | Path | bytes, size: int) -> Image.Image:
    """The whole picture as RGB, upright; a large JPEG no larger than it must be for squares of `size` pixels."""
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as stream:
            return _to_rgb(_scaled(open_image(stream), size))
    except UnreadableError:
        raise
    except FileNotFoundError:
        raise UnreadableError("file not found") from None
    except MemoryError:
        raise  # the machine's trouble, not the picture's
    except Exception as error:  # noqa: BLE001  on damaged bytes Pillow's plugins raise whatever they trip over
        if isinstance(error, OSError) and error.strerror:
            raise UnreadableError(f"cannot be read: {error.strerror}") from None
        raise UnreadableError(f"damaged image: {error or type(error).__name__}") from None


def open_image(stream: IO[bytes]) -> ImageFile.ImageFile:
    """As `Image.open`, but large pictures are held to our own limit: its warning cannot be silenced within a thread."""
    prefix = stream.read(16)
    for name in FORMATS:
        make, accepts = Image.OPEN[name]
        if accepts is None or accepts(prefix) is True:
            stream.seek(0)
            return _within_limit(make(stream, ""))
    raise UnreadableError(f"not an image in a known format ({', '.join(FORMATS)})")


def _within_limit(image: ImageFile.ImageFile) -> ImageFile.ImageFile:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise UnreadableError(f"{width:,} x {height:,} pixels: more than {MOST_PIXELS:,} are not decoded")
    return image


def _scaled(image: ImageFile.ImageFile, size: int) -> ImageFile.ImageFile:
    """Let libjpeg's inverse cosine transform do the coarse part of the shrinking, several times faster."""
    scale = min(image.size) / (SPARE * size)
    if isinstance(image, JpegImagePlugin.JpegImageFile) and scale >= 2:
        image.draft(None, (int(image.width / scale), int(image.height / scale)))
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        image = Image.alpha_composite(white, layer)
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise UnreadableError(f"pixels of mode {image.mode} outside 0 to 65535 have no agreed brightness")
    return Image.fromarray(((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8))


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
