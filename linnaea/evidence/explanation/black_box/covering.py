"""What is answered of an image while parts of it are covered by its mean colour."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from linnaea.arrays import Array, Floats, Integers
from linnaea.errors import UsageError

Answer = Callable[[Array], Floats]
"""Probabilities (B, K) of pixels (B, H, W, C), of uint8 or from 0 to 1."""

AT_ONCE = 32
FEWEST = 4


def mean_colour(image: Array) -> Floats:
    """The mean of each channel (C,) of an image (H, W, C)."""
    return np.asarray(image.reshape(-1, image.shape[-1]).mean(axis=0))


def covered(image: Array, keep: Floats, filling: Floats | None = None) -> Array:
    """The image (H, W, C), of which the share `keep` (B, H, W) of each pixel is left and the rest is `filling`.

    `filling` is a colour (C,) or an image (H, W, C); None: the mean colour.
    """
    filling = mean_colour(image) if filling is None else filling
    share = keep[..., None].astype(np.float32)
    mixed = share * image.astype(np.float32) + (1 - share) * np.asarray(filling, dtype=np.float32)
    return np.rint(mixed).astype(np.uint8) if image.dtype == np.uint8 else mixed


def answered(
    answer: Answer, image: Array, keeps: Iterable[Floats], target: int, filling: Floats | None = None
) -> Floats:
    """The probability (M,) of the class `target` for each of the masks (M, H, W), which may come one by one."""
    parts = [answer(covered(image, keep, filling))[:, target] for keep in _batches(keeps)]
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)


def _batches(masks: Iterable[Floats]) -> Iterator[Floats]:
    waiting: list[Floats] = []
    for mask in masks:
        waiting.append(mask)
        if len(waiting) == AT_ONCE:
            yield np.stack(waiting)
            waiting = []
    if waiting:
        yield np.stack(waiting)


def painted(values: Floats, regions: Integers) -> Floats:
    """A value (D,) for each region, at every pixel of it; `regions` (H, W) numbers them from 0."""
    return np.asarray(values[regions])


def mask_of(kept: Array, regions: Integers) -> Floats:
    """The mask (H, W) that keeps the regions for which `kept` (D,) is 1."""
    return np.asarray(kept[regions], dtype=np.float32)


def require_evaluations(count: int) -> None:
    """Raise UsageError for fewer evaluations than a map can be made of."""
    if count < FEWEST:
        raise UsageError(f"samples is {count}; expected {FEWEST} or more answers per image, such as 500.")
