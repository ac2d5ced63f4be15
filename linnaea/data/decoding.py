"""The one way from an image file to pixels, used by training, prediction and every export.

This file imports nothing but the standard library, numpy and Pillow, because it travels verbatim beside an exported
model: change it and every answer changes, so exports keep the copy they were made with.
"""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
FITS = ("crop", "pad", "stretch")
PAD_GREY = (128, 128, 128)


class UnreadableError(ValueError):
    """The bytes are no image that can be decoded; the message says why."""


def decode(source: str | Path | bytes, size: int, fit: str = "crop") -> npt.NDArray[np.uint8]:
    """Decode an image file, or its bytes, to RGB pixels of shape (size, size, 3), 0 to 255.

    EXIF rotation is applied, transparency is laid over white, 16-bit grey is scaled to 8 bits, and of an animation
    the first frame counts. `fit` says how a picture becomes square: "crop" keeps the centre, "pad" keeps all of it on
    grey, "stretch" bends it. Resizing is Pillow's antialiased bicubic. Raises UnreadableError.
    """
    if fit not in FITS:
        raise ValueError(f"fit is {fit!r}; expected one of {', '.join(FITS)}.")
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as opened:
            return np.array(_square(_to_rgb(opened), size, fit))
    except FileNotFoundError:
        raise UnreadableError("file not found") from None
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise UnreadableError(f"more than {limit:,} pixels: too large to decode safely") from None
    except UnreadableError:
        raise
    except UnidentifiedImageError:
        raise UnreadableError(f"not an image in a known format ({', '.join(FORMATS)})") from None
    except (OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, MemoryError) as error:
        raise UnreadableError(f"damaged image: {error}") from None  # Pillow's plugins raise all of these


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


def _square(image: Image.Image, size: int, fit: str) -> Image.Image:
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
