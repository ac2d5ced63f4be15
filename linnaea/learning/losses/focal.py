"""Focal loss."""

from torch import Tensor
from torch.nn import functional

from linnaea.learning.losses.contract import LOSSES, Context
from linnaea.learning.targets import as_weights

LEAST = 1e-6
USUAL = Context(amount=2.0)


@LOSSES.register(
    "focal",
    title="Focal loss",
    meaning="Cross-entropy in which answers that are already confident and right count less.",
    tasks=("binary", "multiclass", "multilabel", "hierarchical"),
    amount=("gamma", 2, 0, 10),
)
def focal(logits: Tensor, targets: Tensor, context: Context = USUAL) -> Tensor:
    """Cross-entropy times (1 - p)^gamma, p being the probability of what is true (Lin et al. 2017)."""
    gamma = context.amount
    assert gamma is not None, "it takes a number"
    if not context.multilabel:
        likely = functional.log_softmax(logits, dim=1)
        weights = as_weights(targets, logits.shape[1])
        return -(weights * _missed(likely, gamma) * likely).sum(dim=1)
    known, wanted = ~targets.isnan(), targets.nan_to_num().to(logits.dtype)
    there, absent = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    losses = -wanted * _missed(there, gamma) * there - (1 - wanted) * _missed(absent, gamma) * absent
    return (losses * known).sum(dim=1)


def _missed(likely: Tensor, gamma: float) -> Tensor:
    """(1 - p)^gamma from log p; 1 - p is at least a millionth, for below it powers under 1 have no finite slope."""
    return (-likely.expm1()).clamp(min=LEAST) ** gamma
