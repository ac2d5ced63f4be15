"""Distillation of features."""

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from linnaea.learning.objectives.contract import OBJECTIVES, Setting, mixed, seeded


@OBJECTIVES.register(
    "feature_distillation",
    title="Distillation of features",
    meaning="The teacher's features told from the network's by a linear layer, beside the labels.",
    order=8,
    tasks=("binary", "multiclass", "hierarchical"),
    balances=("draws", "weights", "loss", "pictures"),
    amount=("the weight beside the labels", 1, 0, 100),
    mixes=True,
    teacher=True,
)
class FeatureDistillation:
    """Hints (Romero et al. 2015) of the last features: a linear layer of its own tells the teacher's from them.

    The teacher's features are taken at mean 0 and variance 1 for each image, whatever their scale; the heads learn from
    the labels.
    """

    epochs_done = 0

    def __init__(self, setting: Setting) -> None:
        assert setting.teacher is not None, "it is asked for before"
        self.setting, self.teacher = setting, setting.teacher
        length = setting.teacher.length
        self.own: nn.Module = seeded(setting.seed, lambda: nn.Linear(setting.length, length))

    @classmethod
    def made(cls, setting: Setting) -> Self:
        """One for this training."""
        return cls(setting)

    def __call__(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The sum of the losses of labels and hints, and each of them."""
        setting, weight = self.setting, self.setting.amount
        assert weight is not None, "it takes a number"
        images, targets = self.seen(*batch)
        features, heads = model(images.float().div_(255), apart=True)
        losses = [setting.balance.loss(setting.criterion, head, targets, setting.label_smoothing) for head in heads]
        labels, hints = torch.stack(losses).mean(), hinted(self.own(features.float()), self.teacher.features(images))
        return labels + weight * hints, {"label_loss": labels, "teacher_loss": hints}

    def seen(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The images and targets that the network is shown: these, mixed."""
        return mixed(self.setting, images, targets)


def hinted(features: Tensor, taught: Tensor) -> Tensor:
    """The mean squared difference of told features (N, D) from the teacher's, each image's at mean 0 and variance 1."""
    return functional.mse_loss(features, functional.layer_norm(taught, taught.shape[1:]))
