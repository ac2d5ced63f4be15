"""Asymmetric loss."""

import torch
from torch import Tensor
from torch.nn import functional

from linnaea.learning.losses.contract import LOSSES, Context

LEAST = 1e-6
SHIFT = 0.05  # of the probability of what is absent: below it, nothing is to be learnt
USUAL = Context(multilabel=True, amount=4.0)


@LOSSES.register(
    "asymmetric",
    title="Asymmetric loss",
    meaning="Of several labels: cross-entropy in which labels that are absent, and known to be, hardly count.",
    tasks=("multilabel",),
    amount=("gamma of absent labels", 4, 0, 10),
)
def asymmetric(logits: Tensor, targets: Tensor, context: Context = USUAL) -> Tensor:
    """-log p where a label is there, else -p'^gamma log(1 - p'), p' = max(p - 0.05, 0) (Ridnik et al. 2021).

    Images have few of many labels, and what is absent would otherwise drown what is there.
    """
    gamma = context.amount
    assert gamma is not None, "it takes a number"
    known, wanted = ~targets.isnan(), targets.nan_to_num().to(logits.dtype)
    left = (logits.sigmoid() - SHIFT).clamp(min=0)
    absent = -(left.clamp(min=LEAST) ** gamma) * torch.log1p(-left)
    return ((wanted * -functional.logsigmoid(logits) + (1 - wanted) * absent) * known).sum(dim=1)
