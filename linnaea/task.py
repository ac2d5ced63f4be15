"""A task says what scores mean: activation, loss and the metric that fits; `linnaea.decisions` has its rules."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from linnaea.registry import Registry

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Task:
    """The contract of a task.

    `metric` is the figure that models are chosen by; higher is better. `multilabel` says whether an image may
    carry several labels (truth is then a list) or exactly one.
    """

    name: str
    metric: str
    multilabel: bool = False

    def probabilities(self, logits: Floats) -> Floats:
        """Logits (N, K) to probabilities (N, K), each row summing to one (softmax)."""
        from scipy.special import softmax

        values: Floats = softmax(logits, axis=1)
        return values

    def activation(self, logits: "torch.Tensor") -> "torch.Tensor":
        """The same as `probabilities`, on tensors, differentiable and exportable."""
        return logits.softmax(dim=1)

    def loss(self, logits: "torch.Tensor", targets: "torch.Tensor", label_smoothing: float = 0.0) -> "torch.Tensor":
        """Mean cross-entropy of logits (N, K) against class indices (N,) or class weights (N, K)."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(logits.float(), targets, label_smoothing=label_smoothing)


class Multilabel(Task):
    """Any number of classes per image, each there or not; targets (N, K) are 0, 1, or NaN where nobody knows."""

    def probabilities(self, logits: Floats) -> Floats:
        """Logits (N, K) to probabilities (N, K), each class on its own (sigmoid)."""
        from scipy.special import expit

        values: Floats = expit(logits)
        return values

    def activation(self, logits: "torch.Tensor") -> "torch.Tensor":
        """The same as `probabilities`, on tensors, differentiable and exportable."""
        return logits.sigmoid()

    def loss(self, logits: "torch.Tensor", targets: "torch.Tensor", label_smoothing: float = 0.0) -> "torch.Tensor":
        """Mean binary cross-entropy of logits (N, K) over the targets (N, K) that are known; 0 when none is."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        known = ~targets.isnan()
        wanted = targets.nan_to_num() * (1 - label_smoothing) + label_smoothing / 2
        losses = binary_cross_entropy_with_logits(logits.float(), wanted.float(), reduction="none")
        return (losses * known).sum() / known.sum().clamp(min=1)


TASKS: Registry[Task] = Registry("task")
TASKS.register("multiclass")(Task("multiclass", metric="accuracy"))
TASKS.register("binary")(Task("binary", metric="accuracy"))
TASKS.register("multilabel")(Multilabel("multilabel", metric="map", multilabel=True))


def infer_task(classes: tuple[str, ...]) -> str:
    """The task that one label per image asks for: two classes are binary, more are multiclass."""
    return "binary" if len(classes) == 2 else "multiclass"
