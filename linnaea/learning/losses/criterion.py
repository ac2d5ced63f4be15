"""A loss at work in one training."""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from linnaea.learning.losses.contract import LOSSES, Context, Loss, require_loss, usual_loss
from linnaea.learning.targets import as_weights, smoothed
from linnaea.task import Task
from linnaea.taxonomy import Taxonomy


@dataclass(frozen=True)
class Criterion:
    """The loss `name` for one task and one set of classes."""

    name: str
    task: str
    loss: Loss
    context: Context

    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss of each image (N,) from logits (N, K) and targets (N,) or (N, K)."""
        return self.loss(logits.float(), targets, self.context)

    def mean(self, logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The mean over images or, of several labels, over the targets that are known; 0 when none is.

        The share `label_smoothing` of each truth is spread over all classes, of several labels over 0 and 1.
        """
        if self.context.multilabel:
            known = (~targets.isnan()).sum().clamp(min=1)
            return self.losses(logits, targets * (1 - label_smoothing) + label_smoothing / 2).sum() / known
        if label_smoothing:
            targets = smoothed(as_weights(targets, logits.shape[1]), label_smoothing)
        return self.losses(logits, targets).mean()

    @cached_property
    def judge(self) -> "Criterion":
        """The one by which networks are judged: this one or, of a loss that is not proper, the usual one of the task.

        What a loss asks for that is not proper is not what is known of an image: focal loss is lowest for answers that
        are too timid.
        """
        if LOSSES.about(self.name).capabilities.get("proper", False):
            return self
        return _made(usual_loss(self.task), self.task, self.context.multilabel, self.context.tree)


def criterion_for(task: Task, name: str | None = None, tree: Taxonomy | None = None) -> Criterion:
    """The loss of this name, or the usual one of the task (None); raises UsageError as `require_loss` does.

    `tree` is the taxonomy of the classes, which losses of a hierarchical task need.
    """
    return _made(name, task.name, task.multilabel, tree)


def _made(name: str | None, task: str, multilabel: bool, tree: Taxonomy | None) -> Criterion:
    plain, amount = require_loss(name, task)
    return Criterion(plain, task, LOSSES[plain], Context(multilabel, amount, tree))
