"""Colour histograms in plain operations."""

import torch
from torch import Tensor, nn
from torch.nn import functional

BRIGHTEST = 255
PART = 8  # pixels per side


class PlainColours(nn.Module):
    """Squares (N, 3, S, S) of whole numbers to the shares of so many levels in each quarter (N, 4, 48)."""

    levels: Tensor

    def __init__(self, side: int, bins: int) -> None:
        super().__init__()
        self.half = side // 2
        self.register_buffer("levels", torch.arange(bins, dtype=torch.float32).view(1, 1, -1, 1, 1))

    def forward(self, squares: Tensor) -> Tensor:
        """Squares (N, 3, S, S) to shares (N, 4, 48)."""
        bins = self.levels.shape[2]
        position = squares.unsqueeze(2) / BRIGHTEST * (bins - 1)
        votes = functional.relu(1 - (position - self.levels).abs()).flatten(1, 2)
        parts = functional.avg_pool2d(votes, PART)  # twice, because a long sum in float32 strays
        return functional.avg_pool2d(parts, self.half // PART).flatten(2).transpose(1, 2)
