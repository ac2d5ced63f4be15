"""The contract of a task."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from linnaea.arrays import Floats
from linnaea.registry import Registry

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Task:
    """The contract of a task.

    `metric` is the figure that models are chosen by; higher is better. `multilabel` says whether an image may
    carry several labels (truth is then a list) or exactly one, `hierarchical` whether an answer may be a group of
    classes.
    """

    name: str
    metric: str
    multilabel: bool = False
    hierarchical: bool = False

    def probabilities(self, logits: Floats) -> Floats:
        """Logits (N, K) to probabilities (N, K), each row summing to one (softmax)."""
        from scipy.special import softmax

        values: Floats = softmax(logits, axis=1)
        return values

    def activation(self, logits: "torch.Tensor") -> "torch.Tensor":
        """The same as `probabilities`, on tensors, differentiable and exportable."""
        return logits.softmax(dim=1)


TASKS: Registry[Task] = Registry("task", "linnaea.task", title="Tasks", use="Chosen by the number of classes.")
