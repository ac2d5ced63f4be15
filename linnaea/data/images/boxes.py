"""Where a box drawn on a photo lies once the photo has become square."""

from linnaea.data.images.fits import FITS
from linnaea.runtime.arguments import require_one_of

Box = tuple[float, float, float, float]


def box_in_square(box: Box, width: int, height: int, size: int, fit: str) -> Box:
    """The left, top, right and bottom edge, in pixels of the square, of a box on a photo of width x height pixels.

    What was cut off lies outside the square.
    """
    require_one_of(FITS, "fit", fit)
    if fit == "stretch":
        across, down, left, top = size / width, size / height, 0.0, 0.0
    elif fit == "crop":
        side = min(width, height)
        across = down = size / side
        left, top = -(width - side) / 2 * across, -(height - side) / 2 * down
    else:
        scale = size / max(width, height)
        inner = max(1, round(width * scale)), max(1, round(height * scale))
        across, down = inner[0] / width, inner[1] / height
        left, top = float((size - inner[0]) // 2), float((size - inner[1]) // 2)
    return left + box[0] * across, top + box[1] * down, left + box[2] * across, top + box[3] * down
