"""Any number of labels per image."""

from typing import TYPE_CHECKING

from linnaea.arrays import Floats
from linnaea.task.contract import TASKS, Task

if TYPE_CHECKING:
    import torch


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


TASKS.register(
    "multilabel",
    title="Several labels",
    meaning="Any number of classes per image, each there or not; targets (N, K) are 0, 1, or NaN where nobody knows.",
    order=30,
)(Multilabel("multilabel", metric="map", multilabel=True))
