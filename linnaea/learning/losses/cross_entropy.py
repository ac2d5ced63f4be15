"""Cross-entropy."""

from torch import Tensor
from torch.nn import functional

from linnaea.learning.losses.contract import LOSSES, ONE_LABEL, Context


@LOSSES.register(
    "cross_entropy",
    title="Cross-entropy",
    meaning="The negative logarithm of the probability of the true class: multinomial logistic regression.",
    tasks=("binary", "multiclass", "hierarchical"),
    usual_for=("binary", "multiclass"),
    proper=True,
)
def cross_entropy(logits: Tensor, targets: Tensor, context: Context = ONE_LABEL) -> Tensor:
    """Cross-entropy of the softmax; where classes lie below groups, every mistake costs the same."""
    return functional.cross_entropy(logits, targets, reduction="none")
