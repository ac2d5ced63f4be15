"""The contract of an encoding."""

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
from torch import Tensor

from linnaea.arrays import Float32
from linnaea.models.part import Part
from linnaea.registry import Registry


class Encoding(Part, ABC):
    """Descriptors (N, P, D) of N images, P of each on a square grid row by row, to vectors (N, E).

    What was learnt lies in buffers. `fit` is given some images' descriptors and a seed.
    """

    @abstractmethod
    def forward(self, descriptors: Tensor) -> Tensor:
        """Descriptors (N, P, D) to vectors (N, E) of float32."""

    @classmethod
    @abstractmethod
    def fit(cls, descriptors: Float32, seed: int) -> Self:
        """The encoding learnt from descriptors (N, P, D)."""


ENCODINGS: Registry[type[Encoding]] = Registry(
    "encoding",
    "linnaea.models.classical.encodings",
    title="Encodings",
    use="Put before a feature: `linnaea train --model bovw:sift+svm`.",
)


def some_of(descriptors: Float32, most: int, seed: int) -> Float32:
    """At most this many descriptors (M, D) of all images (N, P, D), drawn at random."""
    rows = descriptors.reshape(-1, descriptors.shape[-1])
    if len(rows) <= most:
        return rows
    return rows[np.sort(np.random.default_rng(seed).permutation(len(rows))[:most])]
