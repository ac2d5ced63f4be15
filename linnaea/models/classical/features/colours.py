"""Colour histograms."""

import numpy as np
from torch import nn

from linnaea.arrays import Float32, Images
from linnaea.models.classical.features.contract import FEATURES, Feature
from linnaea.models.classical.plain.colours import PlainColours

BINS = 16
PARTS = 4096  # of a vote: sums of so many pixels are exact in float32, in whatever order a runtime adds them


@FEATURES.register("colours", title="Colour histograms", local=False, plain=True)
class Colours(Feature):
    """How often each of 16 levels of red, green and blue is seen in each quarter of the image (Swain and Ballard 1991).

    A pixel votes for the two nearest levels, in proportion.
    """

    @property
    def points(self) -> int:
        """Quarters per side."""
        return 2

    def describe(self, image: Images) -> Float32:
        """An image (S, S, 3) to shares (4, 48)."""
        pixels = self.square(image)
        half = self.side // 2
        quarters = pixels.reshape(2, half, 2, half, 3).transpose(0, 2, 4, 1, 3).reshape(12, half * half)
        shares: Float32 = (_counts(quarters) @ VOTES / np.float32(half * half)).reshape(4, 3 * BINS)
        return shares

    def plain(self) -> nn.Module:
        """The same as a module of plain operations."""
        return PlainColours(self.side, VOTES)


def _counts(rows: Images) -> Float32:
    """How often each of 256 values is in each row (R, N): (R, 256)."""
    shifted = rows.astype(np.int64) + 256 * np.arange(len(rows))[:, None]
    counts: Float32 = np.bincount(shifted.ravel(), minlength=256 * len(rows)).reshape(-1, 256).astype(np.float32)
    return counts


def _votes() -> Float32:
    """What a value gives to each level (256, 16), in whole parts; what it gives to both is one."""
    position = np.arange(256)[:, None] / 255 * (BINS - 1)
    shares = np.maximum(0, 1 - np.abs(position - np.arange(BINS)))
    votes: Float32 = (np.rint(shares * PARTS) / PARTS).astype(np.float32)
    return votes


VOTES = _votes()
