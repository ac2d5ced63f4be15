"""What a file says of itself before its pixels are decoded: format, size, colour mode, quality, camera."""

import json
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from linnaea.data.images.bands import bands_in, grey_pages_in, size_of_bands
from linnaea.data.images.opening import open_image, orientation_of

RECORD_BYTES = 256  # what does not fit is cut off the camera's name
TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


@dataclass(frozen=True)
class Facts:
    """What a file's header says: width and height are in pixels as shown.

    `coarseness` is the mean step of a JPEG's luminance quantisation, larger for a lower quality, 0 for other formats.
    `pages` is the number of grey pages of one size in a TIFF, at the most 257, and 1 for all else.
    """

    format: str
    width: int
    height: int
    mode: str
    coarseness: float
    camera: str
    pages: int = 1

    @property
    def ratio(self) -> float:
        """Width by height."""
        return self.width / self.height

    def to_record(self) -> npt.NDArray[np.uint8]:
        """256 bytes of JSON."""
        text = json.dumps(list(asdict(self).values()))
        if len(text) > RECORD_BYTES:
            return replace(self, camera=self.camera[: len(self.camera) // 2]).to_record()
        return np.frombuffer(text.encode().ljust(RECORD_BYTES), dtype=np.uint8)

    @classmethod
    def from_record(cls, record: npt.NDArray[np.uint8]) -> "Facts":
        """The inverse of `to_record`."""
        return cls(*json.loads(record.tobytes()))


def read_facts(content: bytes, max_pixels: int) -> Facts:
    """The facts of an image file's bytes; raises UnreadableError when they are none."""
    size = size_of_bands(content)
    if size is not None:
        return Facts("TIFF", *size, f"{bands_in(content)} bands", 0.0, "")
    with open_image(content, max_pixels) as image:
        width, height = image.size[::-1] if orientation_of(image) in TURNED else image.size
        steps = getattr(image, "quantization", {}).get(0, [0])
        coarseness = round(sum(steps) / len(steps), 2)
        return Facts(
            str(image.format), width, height, image.mode, coarseness, _camera(image), max(1, grey_pages_in(content))
        )


def _camera(image: Image.Image) -> str:
    """Make and model; empty where the tags are absent or broken, since the image may be good for all that."""
    try:
        tags = image.getexif()
        names = [tags.get(ExifTags.Base.Make), tags.get(ExifTags.Base.Model)]
    except Exception:  # noqa: BLE001  Pillow raises whatever a broken tag makes it trip over
        return ""
    return " ".join(str(name).strip("\0 ") for name in names if name)
