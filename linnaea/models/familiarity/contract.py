"""The contract of a familiarity score."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

from torch import Tensor

from linnaea.models.familiarity.known import Known
from linnaea.models.part import Part
from linnaea.registry import Registry


class Familiarity(Part, ABC):
    """Features (N, D) and logits (N, K) of images to a score (N,) that grows with strangeness.

    The logits are the model's own, before any calibration, which so leaves the scores as they are. What was fitted lies
    in buffers. Only operations that export are used. `for_several` says whether it makes sense where an image may
    carry several labels.
    """

    for_several: ClassVar[bool] = True

    @abstractmethod
    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Features (N, D) and logits (N, K) to scores (N,)."""

    @classmethod
    @abstractmethod
    def fit(cls, known: Known) -> Self:
        """The score fitted to images of training."""


FAMILIARITIES: Registry[type[Familiarity]] = Registry("familiarity score")
