"""Supervised contrastive learning."""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from linnaea.learning.augmentations import augment
from linnaea.learning.objectives.beside import OfFeatures
from linnaea.learning.objectives.contract import OBJECTIVES, Setting, seeded

LENGTH = 128  # of a projection


@OBJECTIVES.register(
    "supervised_contrastive",
    title="Supervised contrast",
    meaning="Projections of images of a class near each other among all of the batch, two views of each image.",
    order=3,
    tasks=("binary", "multiclass", "hierarchical"),
    balances=("draws", "pictures"),
    amount=("the temperature", 0.1, 0.01, 1),
    views=True,
)
class SupervisedContrastive(OfFeatures):
    """Supervised contrastive learning (Khosla et al. 2020) of two views of each image, by a projection of its own.

    The augmentations make the views; without any, each image is seen once. The head is learnt by cross-entropy beside,
    see `OfFeatures`.
    """

    epochs_done = 0

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.own: nn.Module = seeded(setting.seed, lambda: _projection(setting.length))

    @classmethod
    def made(cls, setting: Setting) -> Self:
        """One for this training."""
        return cls(setting)

    def seen(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Two views of each image (2 B, 3, S, S), one after the other, and its target twice."""
        names, drawn = self.setting.augmentations, torch.default_generator
        if not names:
            return images, targets
        plain = images.cpu()  # where the random numbers are
        views = [augment(plain, targets, names, drawn, 0)[0].to(images.device) for _ in range(2)]
        return torch.cat(views), torch.cat([targets, targets])

    def of_features(self, features: Tensor, targets: Tensor) -> Tensor:
        """The loss of their projections."""
        assert self.setting.amount is not None, "it takes a number"
        return contrast(self.own(features), targets, self.setting.amount)


def contrast(projections: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """The loss "out" of Khosla et al. 2020, a scalar, of projections (N, D), which are taken at length 1.

    The mean over images of the mean, over the others of their class, of the cross-entropy of that one among all others.
    Images without another one of their class are left out; 0 where all are.
    """
    unit = functional.normalize(projections, dim=1)
    alike = unit @ unit.T / temperature
    itself = torch.eye(len(targets), dtype=torch.bool, device=targets.device)
    likely = alike - alike.masked_fill(itself, -torch.inf).logsumexp(dim=1, keepdim=True)
    others = (targets[:, None] == targets) & ~itself
    counts = others.sum(dim=1)
    each = -(likely.masked_fill(~others, 0.0)).sum(dim=1) / counts.clamp(min=1)
    return each.sum() / (counts > 0).sum().clamp(min=1)


def _projection(length: int) -> nn.Module:
    return nn.Sequential(nn.Linear(length, length), nn.ReLU(), nn.Linear(length, LENGTH))
