"""Poly loss: cross-entropy with a further term for answers that are unsure of the truth."""

from torch import Tensor
from torch.nn import functional

from linnaea.learning.losses.contract import LOSSES, ONE_LABEL, Context
from linnaea.learning.targets import as_weights


@LOSSES.register(
    "poly",
    title="Poly loss",
    meaning="Cross-entropy plus a share of how far the probability of the truth is from one.",
    tasks=("binary", "multiclass"),
    amount=("the further term", 1, -1, 10),
)
def poly(logits: Tensor, targets: Tensor, context: Context = ONE_LABEL) -> Tensor:
    """Cross-entropy + epsilon (1 - p), p being the probability of the truth (Leng et al. 2022)."""
    weights, likely = as_weights(targets, logits.shape[1]), functional.log_softmax(logits, dim=1)
    epsilon = 1.0 if context.amount is None else context.amount
    return (weights * (epsilon * (1 - likely.exp()) - likely)).sum(dim=1)
