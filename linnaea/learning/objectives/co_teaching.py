"""Co-teaching: two networks, each of which learns from what the other finds easy."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Self

import torch
from torch import Tensor, nn

from linnaea.learning.objectives.contract import OBJECTIVES, Setting, seeded
from linnaea.learning.targets import as_weights, smoothed
from linnaea.models.model import Model

RISING = 10  # epochs over which images are dropped, or a third of all where that is less


@OBJECTIVES.register(
    "co_teaching",
    title="Co-teaching",
    meaning="Two networks, each learning from the images of the batch that the other finds easy: against wrong labels.",
    order=5,
    tasks=("binary", "multiclass", "hierarchical"),
    balances=("draws", "pictures"),
    amount=("the share of labels taken to be wrong", 0.2, 0, 0.9),
)
class CoTeaching:
    """Co-teaching (Han et al. 2018): labels that are wrong are learnt late, and two networks forget different ones.

    Of each batch a network learns from the images with the smallest loss by the other one. All images are kept in the
    first epoch, then fewer in every epoch until the share that is taken to be wrong is left out. The second network,
    `own`, has other weights to begin with: all of them or, of a pretrained one, the head's. The first one is kept.
    """

    epochs_done = 0

    def __init__(self, setting: Setting) -> None:
        assert setting.amount is not None, "it takes a number"
        self.setting, self.wrong = setting, setting.amount
        self.rising = max(1, min(RISING, setting.epochs // 3))
        self.own: nn.Module = seeded(setting.seed + 1, lambda: _second(setting.model, pretrained=setting.pretrained))

    @classmethod
    def made(cls, setting: Setting) -> Self:
        """One for this training."""
        return cls(setting)

    @property
    def kept(self) -> float:
        """The share of a batch that is learnt from in this epoch."""
        return 1 - self.wrong * min(1.0, self.epochs_done / self.rising)

    def __call__(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The sum of the losses of both, and the share of images that was learnt from."""
        images, targets = batch
        pixels = images.float().div_(255)
        first, second = (self._losses(network(pixels), targets) for network in (model, self.own))
        count = max(1, round(self.kept * len(targets)))
        loss = first[smallest(second, count)].mean() + second[smallest(first, count)].mean()
        return loss, {"kept": loss.new_tensor(count / len(targets))}

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        share = self.setting.label_smoothing
        wanted = smoothed(as_weights(targets, logits.shape[1]), share) if share else targets
        return self.setting.criterion.losses(logits, wanted)


def smallest(losses: Tensor, count: int) -> Tensor:
    """The positions of so many of the smallest."""
    return losses.detach().argsort(stable=True)[:count]


def _second(model: Model, *, pretrained: bool) -> Model:
    """Another network of the same kind, with fresh weights; of a pretrained one the body is the same."""
    if pretrained:
        second = deepcopy(model)
        classifier: Any = second.get_submodule("classifier")
        classifier.reset_parameters()
        return second
    fresh = type(model)(**model.arguments)
    fixed = {name: value for name, value in model.named_parameters() if not value.requires_grad}
    with torch.no_grad():
        for name, value in fixed.items():
            fresh.get_parameter(name).copy_(value)
    return fresh.to(model.device)
