"""How an image looks, in a few numbers: dark, bright, flat, sharp, and what the crop cuts away."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from linnaea.arrays import Floats
from linnaea.data.images.spectrum import fall

FAINTEST = 1.0  # sum of gradients of a thumbnail below which there is nothing to cut away
SIDE = 112  # images are measured at about this size
GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32) / np.float32(255)


@dataclass(frozen=True)
class Looks:
    """Numbers per image (N,).

    `dark` is the brightness that all but a hundredth of its pixels stay below, `bright` the one that all but a
    twentieth exceed, both 0 to 1; `spread` the standard deviation of brightness; `sharpness` that of its Laplacian
    relative to it; `cut_away` the share of the gradients of the whole image outside its central square; `fall` how
    far its spectrum falls, as in `linnaea.data.images.spectrum`.
    """

    dark: Floats
    bright: Floats
    spread: Floats
    sharpness: Floats
    cut_away: Floats
    fall: Floats

    @classmethod
    def from_rows(cls, rows: Floats) -> "Looks":
        """From what `measure` gave for each image, (N, 6)."""
        return cls(*rows.T)


def measure(image: Image.Image, thumbnail: npt.NDArray[np.uint8], full: Image.Image) -> Floats:
    """The numbers of `Looks` (6,) of a whole RGB image, also given as a thumbnail (S, S, 3) and at full size."""
    small = image if max(image.size) < 2 * SIDE else image.reduce(max(1, max(image.size) // SIDE))
    levels = np.asarray(small.convert("L"))
    below = np.bincount(levels.ravel(), minlength=256).cumsum()
    brightness = levels.astype(np.float32) / np.float32(255)
    spread = float(brightness.std())
    return np.array(
        [
            below.searchsorted(0.99 * levels.size) / 255,
            below.searchsorted(0.05 * levels.size) / 255,
            spread,
            _laplacian(brightness) / max(spread, 1e-6),
            _outside_square(thumbnail @ GREY, image.width / image.height),
            fall(full),
        ],
        dtype=np.float32,
    )


def _laplacian(brightness: Floats) -> float:
    """The standard deviation of the Laplacian; zero for images too small to have one."""
    if min(brightness.shape) < 3:
        return 0.0
    around = brightness[:-2, 1:-1] + brightness[2:, 1:-1] + brightness[1:-1, :-2] + brightness[1:-1, 2:]
    return float((around - 4 * brightness[1:-1, 1:-1]).std())


def _outside_square(brightness: Floats, ratio: float) -> float:
    """The share of gradients outside the central square of an image that was stretched from width by height."""
    down, across = np.gradient(brightness)
    detail = np.hypot(across, down)
    side = len(brightness)
    kept = max(1, round(side * min(ratio, 1 / ratio)))
    start = (side - kept) // 2
    inside = detail[:, start : start + kept] if ratio > 1 else detail[start : start + kept]
    total = detail.sum()
    return float(1 - inside.sum() / total) if total > FAINTEST else 0.0
