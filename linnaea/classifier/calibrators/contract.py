"""The contract of a calibrator."""

from abc import ABC, abstractmethod
from typing import Self

from torch import Tensor

from linnaea.arrays import Floats, Targets
from linnaea.models.part import Part
from linnaea.registry import Registry


class Calibrator(Part, ABC):
    """Raw scores (N, K) to calibrated logits (N, K), whose softmax or, of several labels, sigmoid is a probability.

    What was fitted lies in arguments or buffers. Only operations that export are used.
    """

    @abstractmethod
    def forward(self, raw: Tensor) -> Tensor:
        """Raw scores (N, K) to calibrated logits (N, K)."""

    @classmethod
    @abstractmethod
    def fit(cls, raw: Floats, targets: Targets) -> Self:
        """The calibrator fitted to raw scores (N, K) and class indices (N,) or, of several labels, 0, 1, NaN (N, K)."""


CALIBRATORS: Registry[type[Calibrator]] = Registry(
    "calibrator",
    "linnaea.classifier.calibrators",
    title="Calibrators",
    use="Part of a classifier; loaded with its bundle.",
)
