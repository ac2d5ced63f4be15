"""Additive angular margin."""

import math
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from linnaea.learning.objectives.beside import OfFeatures
from linnaea.learning.objectives.contract import OBJECTIVES, Setting, seeded

SCALE = 30.0  # of cosines as logits; 64 in the paper is for many thousands of classes
NEAR = 1e-6  # of a cosine to 1, where the sine has no finite slope


@OBJECTIVES.register(
    "arcface",
    title="Angular margin",
    meaning="The angle between features and the centre of their class smaller than to other centres, by a margin.",
    order=4,
    tasks=("binary", "multiclass", "hierarchical"),
    balances=("draws", "pictures"),
    amount=("the margin in radians", 0.5, 0, 1.5),
)
class AngularMargin(OfFeatures):
    """ArcFace (Deng et al. 2019): cross-entropy of cosines to centres of its own, the true one's angle enlarged.

    The head is learnt by cross-entropy beside, see `OfFeatures`.
    """

    epochs_done = 0

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        classes = len(setting.balance.counts)
        self.own: nn.Module = seeded(setting.seed, lambda: Centres(classes, setting.length))

    @classmethod
    def made(cls, setting: Setting) -> Self:
        """One for this training."""
        return cls(setting)

    def of_features(self, features: Tensor, targets: Tensor) -> Tensor:
        """The loss of their cosines to the centres."""
        assert self.setting.amount is not None, "it takes a number"
        return angular(self.own(features), targets, self.setting.amount)


class Centres(nn.Module):
    """A direction for each class; features (N, D) to the cosines of their angles to them (N, K)."""

    def __init__(self, classes: int, length: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, length) / math.sqrt(length))

    def forward(self, features: Tensor) -> Tensor:
        """Their cosines."""
        return functional.linear(functional.normalize(features, dim=1), functional.normalize(self.weight, dim=1))


def angular(cosines: Tensor, targets: Tensor, margin: float, scale: float = SCALE) -> Tensor:
    """The mean cross-entropy of scaled cosines (N, K), that of the true class at an angle larger by `margin` radians.

    Where the sum is beyond a half turn, the cosine falls on as a straight line, as in the authors' code.
    """
    own = cosines.gather(1, targets[:, None]).squeeze(1).clamp(NEAR - 1, 1 - NEAR)
    turned = own * math.cos(margin) - (1 - own.square()).sqrt() * math.sin(margin)
    beyond = own <= math.cos(math.pi - margin)
    enlarged = torch.where(beyond, own - math.sin(math.pi - margin) * margin, turned)
    return functional.cross_entropy(scale * cosines.scatter(1, targets[:, None], enlarged[:, None]), targets)
