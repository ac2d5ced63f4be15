"""Histograms of oriented gradients as scikit-image computes them, in plain operations."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-10  # the least squared length
CUT = 0.2


class PlainHog(nn.Module):
    """Squares (N, 3, S, S) of whole numbers to blocks (N, 49, 36) of 8 x 8 cells with so many `orientations`.

    A gradient of whole numbers votes for one orientation. Which one it is, is told by the side of each boundary on
    which it lies, rather than by its angle: no two runtimes round that so that a vote moves.
    """

    cosines: Tensor
    sines: Tensor

    def __init__(self, side: int, cells: int, orientations: int) -> None:
        super().__init__()
        self.cell = side // cells
        angles = [math.pi * number / orientations for number in range(1, orientations)]
        self.register_buffer("cosines", torch.tensor([math.cos(angle) for angle in angles]).view(1, -1, 1, 1))
        self.register_buffer("sines", torch.tensor([math.sin(angle) for angle in angles]).view(1, -1, 1, 1))

    def forward(self, squares: Tensor) -> Tensor:
        """Squares (N, 3, S, S) to blocks (N, 49, 36)."""
        across, down = strongest_gradients(squares)
        votes = self.orientations(across, down) * torch.sqrt(across * across + down * down)
        cells = functional.avg_pool2d(votes, self.cell)
        corners = [cells[:, :, :-1, :-1], cells[:, :, :-1, 1:], cells[:, :, 1:, :-1], cells[:, :, 1:, 1:]]
        blocks = _shortened(_shortened(torch.cat(corners, dim=1)).clamp(max=CUT))
        return blocks.flatten(2).transpose(1, 2)

    def orientations(self, across: Tensor, down: Tensor) -> Tensor:
        """1 for the orientation of each gradient, two of (N, 1, S, S), and 0 for the others (N, 9, S, S)."""
        turned = torch.where(down < 0, -across, across)
        turned = torch.where(down == 0, across.abs(), turned)
        passed = (down.abs() * self.cosines >= turned * self.sines).float()
        return torch.cat([torch.ones_like(turned), passed], dim=1) - torch.cat(
            [passed, torch.zeros_like(turned)], dim=1
        )


def strongest_gradients(squares: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of both neighbours in the channel where they are largest, of those alike the first: (N, 1, S, S)."""
    across = functional.pad(squares[..., :, 2:] - squares[..., :, :-2], (1, 1))
    down = functional.pad(squares[..., 2:, :] - squares[..., :-2, :], (0, 0, 1, 1))
    steepness = across * across + down * down
    best = [part[:, :1] for part in (across, down, steepness)]
    for channel in range(1, squares.shape[1]):
        own = [part[:, channel : channel + 1] for part in (across, down, steepness)]
        steeper = own[2] > best[2]
        best = [torch.where(steeper, mine, other) for mine, other in zip(own, best, strict=True)]
    return best[0], best[1]


def _shortened(blocks: Tensor) -> Tensor:
    """Blocks (N, 36, 7, 7) of unit length."""
    lengths = (blocks * blocks).sum(dim=1, keepdim=True)
    return blocks / torch.sqrt(lengths.clamp(min=EPS))  # where scikit-image adds it, which converters take for nothing
