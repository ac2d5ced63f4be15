"""Photos as small JPEGs inside the page."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from linnaea.runtime.containers import locate

SIDE = 160
QUALITY = 70


@dataclass(frozen=True)
class Picture:
    """A thumbnail as a data URI with its size in pixels, or the words that stand in its place."""

    name: str
    uri: str = ""
    width: int = 0
    height: int = 0
    instead: str = ""


def picture(root: Path | None, name: str) -> Picture:
    """The thumbnail of the photo `root / name`, at most 160 pixels wide and high."""
    if root is None:
        return Picture(name, instead="picture not found")
    try:
        with locate(root, [name])[0].open("rb") as stream, Image.open(stream) as photo:
            small = _shrunk(photo)
    except FileNotFoundError:
        return Picture(name, instead="picture not found")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        # Pillow raises SyntaxError and ValueError, too, for files that are broken further in
        return Picture(name, instead="picture cannot be read")
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(name, f"data:image/jpeg;base64,{encoded}", *small.size)


def pictures(root: Path | None, names: Sequence[str], most: int) -> list[Picture]:
    """The thumbnails of the first `most` photos."""
    return [picture(root, str(name)) for name in names[:most]]


def _shrunk(photo: Image.Image) -> Image.Image:
    photo.draft("RGB", (2 * SIDE, 2 * SIDE))
    upright = ImageOps.exif_transpose(photo)
    if upright.mode.startswith(("I", "F")):
        upright = _in_eight_bits(upright)
    small = upright.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    return small


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """Stretch a 16-bit, integer or float image to 0..255, which Pillow would clip."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    span = values.max() - values.min()
    return Image.fromarray(((values - values.min()) * (255 / span if span else 0)).astype(np.uint8))
