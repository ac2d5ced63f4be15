"""A task says what scores mean: activation, loss and the metric that fits; `linnaea.decisions` has its rules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
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
    classes. `criterion` is a loss in place of cross-entropy: logits (N, K) and targets to losses (N,).
    """

    name: str
    metric: str
    multilabel: bool = False
    hierarchical: bool = False
    criterion: "Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None" = None

    def probabilities(self, logits: Floats) -> Floats:
        """Logits (N, K) to probabilities (N, K), each row summing to one (softmax)."""
        from scipy.special import softmax

        values: Floats = softmax(logits, axis=1)
        return values

    def activation(self, logits: "torch.Tensor") -> "torch.Tensor":
        """The same as `probabilities`, on tensors, differentiable and exportable."""
        return logits.softmax(dim=1)

    def loss(self, logits: "torch.Tensor", targets: "torch.Tensor", label_smoothing: float = 0.0) -> "torch.Tensor":
        """The mean of `losses`, the share `label_smoothing` of each truth spread over all classes."""
        from torch.nn.functional import cross_entropy, one_hot

        if self.criterion is None:
            return cross_entropy(logits.float(), targets, label_smoothing=label_smoothing)
        if label_smoothing:
            wanted = one_hot(targets, logits.shape[1]).float() if targets.ndim == 1 else targets
            targets = wanted * (1 - label_smoothing) + label_smoothing / logits.shape[1]
        return self.losses(logits, targets).mean()

    def losses(self, logits: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
        """The loss of each image (N,) from logits (N, K) and class indices (N,) or class weights (N, K)."""
        from torch.nn.functional import cross_entropy

        return (self.criterion or partial(cross_entropy, reduction="none"))(logits.float(), targets)


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
        """The mean of `losses` over the targets (N, K) that are known; 0 when none is."""
        known = ~targets.isnan()
        wanted = targets * (1 - label_smoothing) + label_smoothing / 2
        return self.losses(logits, wanted).sum() / known.sum().clamp(min=1)

    def losses(self, logits: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
        """Binary cross-entropies of each image (N,), summed over the targets (N, K) that are known."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        known, wanted = ~targets.isnan(), targets.nan_to_num().float()
        losses = binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
        return (losses * known).sum(dim=1)


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
