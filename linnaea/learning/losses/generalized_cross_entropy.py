"""Generalised cross-entropy."""

from torch import Tensor
from torch.nn import functional

from linnaea.learning.losses.contract import LOSSES, Context
from linnaea.learning.targets import as_weights

USUAL = Context(amount=0.7)


@LOSSES.register(
    "generalized_cross_entropy",
    title="Generalised cross-entropy",
    meaning="Between cross-entropy and the mean absolute error, against wrong labels: hopeless images count less.",
    tasks=("binary", "multiclass", "hierarchical"),
    amount=("q", 0.7, 0.05, 1),
)
def generalized_cross_entropy(logits: Tensor, targets: Tensor, context: Context = USUAL) -> Tensor:
    """(1 - p^q) / q of the probability p of what is true (Zhang and Sabuncu 2018), at most 1 / q.

    Towards q = 0 it is cross-entropy, at q = 1 the mean absolute error.
    """
    q = context.amount
    assert q is not None, "it takes a number"
    likely = functional.log_softmax(logits, dim=1)
    return (as_weights(targets, logits.shape[1]) * -(q * likely).expm1() / q).sum(dim=1)
