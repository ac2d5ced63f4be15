"""Occlusion: how much the answer suffers while a window is covered."""

from collections.abc import Iterator

import numpy as np

from linnaea.arrays import Array, Flags, Floats
from linnaea.evidence.explanation.black_box.covering import Answer, answered

OVERLAP = 2  # windows along each side that cover a pixel, where there are enough of them
ENOUGH = 4


def windows(shape: tuple[int, int], window: int, stride: int) -> Iterator[Flags]:
    """The pixels (H, W) in each position of a window, the last ones cut off by the border."""
    tops, lefts = (starts(length, window, stride) for length in shape)
    for top in tops:
        for left in lefts:
            inside = np.zeros(shape, dtype=bool)
            inside[top : top + window, left : left + window] = True
            yield inside


def starts(length: int, window: int, stride: int) -> range:
    """Where windows begin, so that they cover all of `length`."""
    count = -(-(length - window) // stride) + 1 if length > window else 1
    return range(0, count * stride, stride)


def occlusion_map(answer: Answer, image: Array, target: int, *, window: int, stride: int) -> Floats:
    """By how much the probability of the class falls (H, W), the mean over the windows that cover a pixel.

    Zeiler and Fergus 2014, as captum has it; the filling is the image's mean colour.
    """
    height, width = image.shape[:2]
    whole = float(answer(image[None])[0, target])
    masks = list(windows((height, width), window, stride))
    fallen = whole - answered(answer, image, (1.0 - mask for mask in masks), target)
    total, times = np.zeros((height, width)), np.zeros((height, width))
    for mask, value in zip(masks, fallen.tolist(), strict=True):
        total += value * mask
        times += mask
    return np.asarray(total / np.maximum(times, 1))


def window_for(side: int, evaluations: int) -> tuple[int, int]:
    """The window and the stride in pixels with which at most so many positions cover a side."""
    along = max(1, int(np.sqrt(evaluations)))
    stride = max(1, -(-side // along))
    return min(side, OVERLAP * stride if along >= ENOUGH else stride), stride
