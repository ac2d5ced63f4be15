"""Decoded images with their targets: one table, a row per image."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from linnaea.arrays import Images, Integers, Targets


@dataclass(frozen=True)
class Examples:
    """Decoded images (N, S, S, C) of uint8 and their targets: class indices (N,), or 0, 1 and NaN (N, K).

    `groups` (N,) number the groups that a training is to be fair to, where there are some.
    """

    images: Images
    targets: Targets
    groups: Integers | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return int(self.images.shape[1])

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return int(self.images.shape[3])

    def take(self, rows: Integers | slice) -> "Examples":
        """The examples at these positions, in their order."""
        groups = None if self.groups is None else self.groups[rows]
        return Examples(self.images[rows], self.targets[rows], groups)

    def subset(self, most: int, seed: int) -> "Examples":
        """At most this many examples, drawn at random by the seed, in their old order."""
        if len(self) <= most:
            return self
        return self.take(np.sort(np.random.default_rng(seed).permutation(len(self))[:most]))

    def followed_by(self, more: "Examples") -> "Examples":
        """These examples, then those."""
        return Examples(np.concatenate([self.images, more.images]), np.concatenate([self.targets, more.targets]))

    def batch(self, rows: Integers | slice) -> tuple[Tensor, Tensor]:
        """Images (B, C, S, S) of uint8, laid out channels last, and targets (B,) or (B, K)."""
        some = self.take(rows)
        return torch.from_numpy(np.asarray(some.images)).permute(0, 3, 1, 2), torch.from_numpy(some.targets)
