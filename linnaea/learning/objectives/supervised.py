"""Learning from labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from linnaea.learning.augmentations import augment
from linnaea.learning.balance import Balance
from linnaea.learning.losses import Criterion
from linnaea.learning.objectives.contract import OBJECTIVES, Setting
from linnaea.learning.processes.sharing import shown_together


@OBJECTIVES.register(
    "supervised",
    title="Labels",
    meaning="A loss of what the network answers against the labels, smoothed, balanced and mixed as asked for.",
    order=1,
    tasks=("binary", "multiclass", "multilabel", "hierarchical"),
    balances=("draws", "weights", "loss", "features", "pictures"),
    mixes=True,
)
@dataclass(frozen=True)
class Supervised:
    """A loss against labels, of batches of images (B, 3, S, S) of uint8 and targets (B,) or (B, K).

    `mixing` names augmentations that mix images and their labels; `balance` says how images count; the share
    `label_smoothing` of each label is spread over all classes. With heads `apart` each head of the network learns from
    the labels, and the loss is the mean of theirs.
    """

    criterion: Criterion
    balance: Balance
    label_smoothing: float = 0.0
    mixing: Sequence[str] = ()
    apart: bool = False

    @classmethod
    def made(cls, setting: Setting) -> Self:
        """One for this training."""
        mixing, several = setting.augmentations, setting.model.several_heads
        return cls(setting.criterion, setting.balance, setting.label_smoothing, mixing, several)

    def __call__(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The mean loss of the batch; no further figures."""
        images, targets = shown_together(self.seen, *batch) if self.mixing else batch
        pixels = images.float().div_(255)
        heads = model(pixels, apart=True).heads if self.apart else (model(pixels),)
        losses = [self.balance.loss(self.criterion, logits, targets, self.label_smoothing) for logits in heads]
        return torch.stack(losses).mean(), {}

    def seen(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The images and targets that the network is shown: these, mixed."""
        return augment(images, targets, self.mixing, torch.default_generator, len(self.balance.counts))
