"""Binary cross-entropy."""

from torch import Tensor
from torch.nn import functional

from linnaea.learning.losses.contract import LOSSES, SEVERAL_LABELS, Context


@LOSSES.register(
    "binary_cross_entropy",
    title="Binary cross-entropy",
    meaning="The negative logarithm of the probability of each label's truth, summed over labels: a logistic "
    "regression each.",
    tasks=("multilabel",),
    usual_for=("multilabel",),
    proper=True,
)
def binary_cross_entropy(logits: Tensor, targets: Tensor, context: Context = SEVERAL_LABELS) -> Tensor:
    """Cross-entropies of the sigmoids, summed over the known targets (N, K)."""
    known, wanted = ~targets.isnan(), targets.nan_to_num().to(logits.dtype)
    return (functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * known).sum(dim=1)
