"""Images brought to a square as OpenCV brings them, to the last bit, in operations that every runtime has."""

import numpy as np
import torch
from torch import Tensor, nn

from linnaea.arrays import Float64, Integers

WHOLE = 2048  # of the weights that OpenCV enlarges by
ROWS, COLUMNS = 2, 3  # of images (N, 3, S, S)
BYTE = 256


def squares(size: int, side: int) -> nn.Module:
    """The module that brings images (N, 3, size, size) of whole numbers from 0 to 255 to `side` pixels."""
    if size == side:
        return nn.Identity()
    return Averaged(size, side) if size > side else Enlarged(size, side)


def in_colours(images: Tensor) -> Tensor:
    """Images (N, C, S, S) as colours (N, 3, S, S): of more channels the first three, of fewer the first."""
    return images[:, :3] if images.shape[1] >= 3 else images[:, :1].repeat(1, 3, 1, 1)


class Averaged(nn.Module):
    """Larger images averaged down (INTER_AREA): means are rounded, halves to even numbers, of 2 by 2 pixels up."""

    shares: Tensor

    def __init__(self, size: int, side: int) -> None:
        super().__init__()
        self.halved = size == 2 * side
        self.register_buffer("shares", torch.from_numpy(_shares(size, side)).float())

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, S, S) to squares (N, 3, side, side)."""
        means = self.shares @ images @ self.shares.T
        return torch.floor(means + 0.5) if self.halved else torch.round(means)


class Enlarged(nn.Module):
    """Smaller images enlarged bilinearly (INTER_LINEAR) in whole numbers, as OpenCV cuts them off on the way.

    Each product is of numbers that float32 holds exactly.
    """

    across: Tensor
    above: Tensor
    below: Tensor
    above_weight: Tensor
    below_weight: Tensor

    def __init__(self, size: int, side: int) -> None:
        super().__init__()
        place, weights = _places(size, side)
        outside = (place < 0) | (place >= size - 1)
        own = np.where(outside[:, None], [WHOLE, 0], weights)  # across, what lies outside counts nothing
        across = _taken(place, size) * own[:, :1] + _taken(place + 1, size) * own[:, 1:]
        buffers = {
            "across": across,
            "above": _taken(place, size),
            "below": _taken(place + 1, size),
            "above_weight": weights[:, :1],
            "below_weight": weights[:, 1:],
        }
        for name, value in buffers.items():
            self.register_buffer(name, torch.from_numpy(np.asarray(value, dtype=np.float32)))

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, S, S) to squares (N, 3, side, side)."""
        rows = torch.floor(images @ self.across.T / 16)
        upper = _part(self.above @ rows, self.above_weight)
        lower = _part(self.below @ rows, self.below_weight)
        return torch.floor((upper + lower + 2) / 4)


def _part(rows: Tensor, weight: Tensor) -> Tensor:
    """The whole part of rows times their weight by 65,536, in two steps, because float32 cannot hold the product."""
    high = torch.floor(rows / BYTE)
    low = torch.floor((rows - high * BYTE) * weight / BYTE)
    return torch.floor((high * weight + low) / BYTE)


def _shares(size: int, side: int) -> Float64:
    """How much of each of `size` pixels lies in each of `side` larger ones (side, size); rows sum to one."""
    edges = np.arange(side + 1) * (size / side)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.clip(overlap, 0, 1) * (side / size))


def _places(size: int, side: int) -> tuple[Integers, Integers]:
    """The first of both pixels that each new one lies between (side,), -1 before all, and their weights (side, 2)."""
    position = ((np.arange(side) + 0.5) * (size / side) - 0.5).astype(np.float32)
    place = np.floor(position)
    further = position - place
    weights = np.rint(np.stack([1 - further, further], axis=1) * np.float32(WHOLE))
    return place.astype(np.int64), weights.astype(np.int64)


def _taken(places: Integers, size: int) -> Float64:
    """A matrix (side, size) that takes these of `size` pixels, those outside from the edge."""
    return np.asarray(np.eye(size)[np.clip(places, 0, size - 1)])
