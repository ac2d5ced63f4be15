"""Colour histograms in plain operations."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from linnaea.arrays import Float32

PART = 8  # pixels per side


class PlainColours(nn.Module):
    """Squares (N, 3, S, S) of whole numbers to the shares of levels in each quarter (N, 4, 48).

    `votes` (256, 16) are what a value gives to each level: looked up, since a forest may split between no vote and a
    rounding error of one.
    """

    votes: Tensor

    def __init__(self, side: int, votes: Float32) -> None:
        super().__init__()
        self.quarter = side // 2
        self.register_buffer("votes", torch.from_numpy(votes))

    def forward(self, squares: Tensor) -> Tensor:
        """Squares (N, 3, S, S) to shares (N, 4, 48)."""
        given = self.votes[squares.long()].permute(0, 1, 4, 2, 3).flatten(1, 2)
        parts = functional.avg_pool2d(given, PART)  # twice, because a long sum in float32 strays
        return functional.avg_pool2d(parts, self.quarter // PART).flatten(2).transpose(1, 2)
