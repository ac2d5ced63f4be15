"""Squared hinge loss."""

from torch import Tensor
from torch.nn import functional

from linnaea.learning.losses.contract import LOSSES, ONE_LABEL, Context
from linnaea.learning.targets import as_weights


@LOSSES.register(
    "squared_hinge",
    title="Squared hinge",
    meaning="How far each class's score falls short of a margin of one, squared: a linear support vector machine.",
    tasks=("binary", "multiclass", "multilabel"),
)
def squared_hinge(logits: Tensor, targets: Tensor, context: Context = ONE_LABEL) -> Tensor:
    """One class against the rest, summed over classes, as liblinear's linear support vector machine has it.

    Linear in the class weights: those between 0 and 1 cost their share of either side.
    """
    weights = as_weights(targets, logits.shape[1])
    known, wanted = ~weights.isnan(), weights.nan_to_num()
    losses = wanted * functional.relu(1 - logits).square() + (1 - wanted) * functional.relu(1 + logits).square()
    return (losses * known).sum(dim=1)
