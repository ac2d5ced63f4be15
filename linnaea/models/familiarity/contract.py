"""The contract of a familiarity score."""

from abc import ABC, abstractmethod
from typing import Self

from torch import Tensor

from linnaea.models.familiarity.known import Known
from linnaea.models.part import Part
from linnaea.registry import Registry


class Familiarity(Part, ABC):
    """Features (N, D) and logits (N, K) of images to a score (N,) that grows with strangeness.

    The logits are the model's own, before any calibration, which so leaves the scores as they are. What was fitted lies
    in buffers. Only operations that export are used. One `of_members` is given the parts of uncertainty of the model's
    members (N, 3) in place of features, and is registered with `members=True`. Its registration says by `several`
    whether it makes sense where an image may carry several labels, and by `linear=True` that it is made of the weights
    of a linear head.
    """

    of_members = False

    @abstractmethod
    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Features (N, D) and logits (N, K) to scores (N,)."""

    @classmethod
    @abstractmethod
    def fit(cls, known: Known) -> Self:
        """The score fitted to images of training."""


FAMILIARITIES: Registry[type[Familiarity]] = Registry(
    "familiarity score",
    "linnaea.models.familiarity",
    title="Familiarity scores",
    use="Chosen with `linnaea train --ood`.",
)


def suits(name: str, *, several: bool, linear: bool = True, members: bool = False) -> bool:
    """Whether a score makes sense for images with one label or, where they may have several, for these.

    And, where the head is not `linear`, whether it can do without its weights, and without `members` where there are
    none.
    """
    can = FAMILIARITIES.about(name).capabilities
    without = (linear or not can.get("linear", False)) and (members or not can.get("members", False))
    return without and (not several or bool(can.get("several", True)))
