"""Learning from labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from linnaea.learning.augmentations import augment
from linnaea.learning.balance import Balance
from linnaea.learning.losses import Criterion
from linnaea.learning.objectives.contract import OBJECTIVES


@OBJECTIVES.register(
    "supervised",
    title="Labels",
    meaning="A loss of what the network answers against the labels, smoothed, balanced and mixed as asked for.",
)
@dataclass(frozen=True)
class Supervised:
    """A loss against labels, of batches of images (B, 3, S, S) of uint8 and targets (B,) or (B, K).

    `mixing` names augmentations that mix images and their labels; `balance` says how images count; the share
    `label_smoothing` of each label is spread over all classes.
    """

    criterion: Criterion
    balance: Balance
    label_smoothing: float = 0.0
    mixing: Sequence[str] = ()

    def __call__(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The mean loss of the batch; no further figures."""
        images, targets = self.seen(*batch)
        logits = model(images.float().div_(255))
        return self.balance.loss(self.criterion, logits, targets, self.label_smoothing), {}

    def seen(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The images and targets that the network is shown: these, mixed."""
        return augment(images, targets, self.mixing, torch.default_generator, len(self.balance.counts))
