"""Changes of decoded images for quick trials: light, a patch in the way, blur and compression."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter

from linnaea.arrays import Images
from linnaea.data.images.decoding import Bounds, decode

DARKER, BRIGHTER, FLATTER = 0.5, 1.6, 0.4
PATCH = 0.32  # of the side: a tenth of the area
GREY = 128
BLUR = 0.012  # of the side
QUALITY = 15  # of JPEG, 1 to 100
GRID = 4
GREY_ALONE, COLOURS = 1, 3  # channels that JPEG has


@dataclass(frozen=True)
class Change:
    """What is done to images (N, S, S, C) of uint8: its `kind` is the rule that tries it, `title` what it is called.

    `channels` are those that it can be done to; empty for any.
    """

    kind: str
    title: str
    apply: Callable[[Images], Images]
    channels: tuple[int, ...] = ()


def darker(images: Images) -> Images:
    """Half the light."""
    return _in_range(images * DARKER)


def brighter(images: Images) -> Images:
    """More light, so that bright parts are lost in white."""
    return _in_range(images * BRIGHTER)


def flatter(images: Images) -> Images:
    """Less contrast, about the mean of each image."""
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    return _in_range(mean + (images - mean) * FLATTER)


def patched(images: Images) -> Images:
    """A grey square over a tenth of each image, at a place drawn by chance."""
    size = images.shape[1]
    side = max(1, round(PATCH * size))
    places = np.random.default_rng(0).integers(0, max(1, size - side + 1), (len(images), 2))
    changed = images.copy()
    for image, (top, left) in zip(changed, places.tolist(), strict=True):
        image[top : top + side, left : left + side] = GREY
    return changed


def blurred(images: Images) -> Images:
    """Out of focus."""
    sigma = max(0.6, BLUR * images.shape[1])
    return _in_range(gaussian_filter(images.astype(np.float32), (0, sigma, sigma, 0)))


def compressed(images: Images) -> Images:
    """Saved as JPEG of low quality, and read again."""
    return np.stack([_saved(image) for image in images])


def _saved(image: Images) -> Images:
    saved, channels = io.BytesIO(), image.shape[2]
    Image.fromarray(image[:, :, 0] if channels == GREY_ALONE else image).save(saved, "JPEG", quality=QUALITY)
    return decode(saved.getvalue(), len(image), "stretch", Bounds(channels=channels))


def noise(images: Images) -> Images:
    """Random pixels, as many images as there are."""
    return np.random.default_rng(1).integers(0, 256, images.shape, dtype=np.uint8)


def scrambled(images: Images) -> Images:
    """The images cut into sixteen squares that are put together in another order."""
    side = images.shape[1] // GRID
    order = np.random.default_rng(2).permutation(GRID**2)
    changed = images.copy()
    for place, source in enumerate(order.tolist()):
        (top, left), (high, near) = divmod(place, GRID), divmod(source, GRID)
        part = images[:, high * side : (high + 1) * side, near * side : (near + 1) * side]
        changed[:, top * side : (top + 1) * side, left * side : (left + 1) * side] = part
    return changed


def _in_range(values: npt.NDArray[np.floating[Any]]) -> Images:
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)


CHANGES: Mapping[str, Change] = {
    "darker": Change("lighting", "half the light", darker),
    "brighter": Change("lighting", "glaring light", brighter),
    "flatter": Change("lighting", "low contrast", flatter),
    "patch": Change("occlusion", "a grey patch over a tenth of the image", patched),
    "blur": Change("damage", "blur", blurred),
    "jpeg": Change("damage", f"JPEG of quality {QUALITY}", compressed, (GREY_ALONE, COLOURS)),
}
STRANGERS: Mapping[str, Callable[[Images], Images]] = {"noise": noise, "scrambled patches": scrambled}
