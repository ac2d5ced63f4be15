"""A task says what scores mean: activation and the metric that fits; `linnaea.decisions` has its rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from linnaea.arrays import Floats
from linnaea.registry import Registry
from linnaea.taxonomy import Taxonomy

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


TASKS: Registry[Task] = Registry("task", "linnaea.task", title="Tasks", use="Chosen by the number of classes.")
TASKS.register("multiclass", title="Multiclass", meaning="One of three or more classes per image.", order=10)(
    Task("multiclass", metric="accuracy")
)
TASKS.register("binary", title="Binary", meaning="One of two classes per image.", order=20)(
    Task("binary", metric="accuracy")
)
TASKS.register(
    "multilabel",
    title="Several labels",
    meaning="Any number of classes per image, each there or not; targets (N, K) are 0, 1, or NaN where nobody knows.",
    order=30,
)(Multilabel("multilabel", metric="map", multilabel=True))
TASKS.register(
    "hierarchical",
    title="Hierarchical",
    meaning="One of the classes per image, or a group of them, as a taxonomy has it.",
    order=40,
)(Task("hierarchical", metric="accuracy", hierarchical=True))


def infer_task(classes: tuple[str, ...], taxonomy: Mapping[str, str] | None = None) -> str:
    """The task that one label per image asks for: two classes are binary, more are multiclass.

    It is hierarchical where the taxonomy, from child to parent, has a group of two or more classes that does not hold
    all of them. Raises DataError for a loop.
    """
    if taxonomy and Taxonomy.of(classes, taxonomy).branches:
        return "hierarchical"
    return "binary" if len(classes) == 2 else "multiclass"
