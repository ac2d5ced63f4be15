"""Superpixels: parts of an image that belong together, which are covered as one."""

import numpy as np

from linnaea.arrays import Array, Integers, in_colours
from linnaea.errors import MissingExtraError
from linnaea.models.classical.libraries import library

REGIONS = 49
SMOOTHNESS = 10.0


def superpixels(image: Array, count: int = REGIONS) -> Integers:
    """About `count` regions (H, W) of an image (H, W, C), numbered from 0, by SLIC (Achanta et al. 2012).

    Squares where scikit-image is not installed, and where the image has nothing to tell regions apart by.
    """
    try:
        segmentation = library("skimage.segmentation")
    except MissingExtraError:
        return squares(image.shape[:2], count)
    if (image == image[:1, :1]).all():
        return squares(image.shape[:2], count)
    found = segmentation.slic(in_colours(image), n_segments=count, compactness=SMOOTHNESS, start_label=0)
    numbers = np.unique(found, return_inverse=True)[1].reshape(found.shape)
    return np.asarray(numbers, dtype=np.int64) if numbers.max() > 0 else squares(image.shape[:2], count)


def squares(shape: tuple[int, ...], count: int) -> Integers:
    """About `count` rectangles (H, W) of equal size, in rows, numbered from 0."""
    side = max(1, round(float(np.sqrt(count))))
    rows, columns = (places(length, side) for length in shape[:2])
    return np.asarray(rows[:, None] * (columns.max() + 1) + columns[None, :])


def places(length: int, parts: int) -> Integers:
    """Which of so many equal parts each of `length` pixels is in (length,); of few pixels each is a part."""
    parts = min(parts, length)
    return np.asarray(np.arange(length) * parts // length)


def regions_said() -> str:
    """What regions are, in words."""
    try:
        library("skimage.segmentation")
    except MissingExtraError:
        return "squares, as scikit-image is not installed"
    return "superpixels found by SLIC"
