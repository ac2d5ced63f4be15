"""Objectives of features alone: the head is learnt by cross-entropy beside them, on features that it does not shape."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from linnaea.learning.objectives.contract import Setting


class OfFeatures(ABC):
    """What shapes features, of batches of images (B, 3, S, S) of uint8 and class indices (B,).

    The classifier that comes out is an ordinary one. Its head learns by the training's own loss from the same features
    at the same time, no gradient of it reaching them, as a linear probe does afterwards (Khosla et al. 2020): so that
    every epoch can be judged by what it will answer.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def __call__(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The sum of the loss of the features and that of the head, and each of them."""
        images, targets = self.seen(*batch)
        features, heads = model(images.float().div_(255), apart=True, detached=True)
        setting = self.setting
        losses = [setting.balance.loss(setting.criterion, head, targets, setting.label_smoothing) for head in heads]
        beside, own = torch.stack(losses).mean(), self.of_features(features.float(), targets)
        return own + beside, {"features_loss": own, "head_loss": beside}

    def seen(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The images and targets that the network is shown: these."""
        return images, targets

    @abstractmethod
    def of_features(self, features: Tensor, targets: Tensor) -> Tensor:
        """The loss of features (N, D) of float32 whose classes are `targets` (N,), a scalar."""
