"""The contract of a head."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from linnaea.arrays import Float32, Targets
from linnaea.models.part import Part
from linnaea.registry import Registry

UNSEEN = -30.0  # the score of a class that no image of training has


@dataclass(frozen=True, eq=False)
class Samples:
    """What a head is fitted to: `features` (N, D), `targets` (N,) class indices, or 0, 1 and NaN (N, K).

    `weights` (N,) say how much each image counts (None: all the same).
    """

    features: Float32
    targets: Targets
    classes: int
    weights: Float32 | None = None
    seed: int = 0

    @property
    def several(self) -> bool:
        """Whether an image may have several labels."""
        return self.targets.ndim == 2

    def against_rest(self, number: int) -> "Samples":
        """The images of which it is known whether they have one class or label, with targets 1 and 0."""
        own = self.targets[:, number] if self.several else (self.targets == number).astype(np.float64)
        there = np.flatnonzero(~np.isnan(own))
        weights = None if self.weights is None else self.weights[there]
        return Samples(self.features[there], own[there].astype(np.int64), 2, weights, self.seed)

    @property
    def only(self) -> float | None:
        """The score where all images have one target, 0 or 1: the logarithm of the odds, one of each added."""
        if len(np.unique(self.targets)) > 1:
            return None
        yes, no = (int((self.targets == value).sum()) + 1 for value in (1, 0))
        return float(np.log(yes / no))


class Head(Part, ABC):
    """Features (N, D) to raw scores (N, K) of classes or labels, as they are before calibration.

    What a library fitted is kept in buffers as arrays, from which the same is computed without it. `linear` says that
    the scores are linear in the features, and the head then has the buffers `weight` (K, D) and `bias` (K,); `weighs`
    that images can count more or less; `most` is the number of images that it is fitted on at the most, `compared_on`
    the number that its candidates are.
    """

    linear: ClassVar[bool] = False
    weighs: ClassVar[bool] = True
    most: ClassVar[int] = 10_000
    compared_on: ClassVar[int] = 10_000

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Features (N, D) to raw scores (N, K) of float32."""

    @classmethod
    @abstractmethod
    def candidates(cls, samples: Samples) -> Iterator[tuple[str, Self]]:
        """Fitted heads to choose from, the simplest first, each with what is its own in words, such as "C = 1"."""

    @classmethod
    def again(cls, samples: Samples, best: Self) -> Self:
        """The best candidate, fitted to all of the samples as well where it was compared on fewer of them."""
        return best

    @torch.no_grad()
    def holding(self, **values: Any) -> Self:
        """Itself with arrays copied into the buffers of these names, in the number format that they have there."""
        buffers = dict(self.named_buffers())
        for name, value in values.items():
            buffers[name].copy_(torch.from_numpy(np.array(value)))
        return self


HEADS: Registry[type[Head]] = Registry(
    "head",
    "linnaea.models.classical.heads",
    title="Heads",
    use="Joined to a feature: `linnaea train --model hog+svm`.",
)
