"""Photos as small JPEGs inside the page."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from linnaea.data.images.decoding import NOT_FOUND, read_rgb
from linnaea.data.images.opening import UnreadableError
from linnaea.data.images.pixels import read_content
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


def picture(root: Path | None, name: str, side: int = SIDE) -> Picture:
    """The thumbnail of the photo `root / name`, at most `side` pixels wide and high."""
    if root is None:
        return Picture(name, instead="image not found")
    try:
        small = read_rgb(read_content(locate(root, [name])[0]), side)
    except UnreadableError as error:
        return Picture(name, instead=f"image {'not found' if str(error) == NOT_FOUND else 'cannot be read'}")
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(name, f"data:image/jpeg;base64,{encoded}", *small.size)


def pictures(root: Path | None, names: Sequence[str], most: int) -> list[Picture]:
    """The thumbnails of the first `most` photos."""
    return [picture(root, str(name)) for name in names[:most]]
