"""LAMB, for very large batches."""

import torch

from linnaea.learning.optimizers.contract import OPTIMIZERS, Groups


@OPTIMIZERS.register(
    "lamb",
    title="LAMB",
    meaning="AdamW whose step on each tensor is as long as the tensor is large: for very large batches.",
    order=5,
    amount=("the weight decay", 0.02, 0, 1),
    from_scratch=5e-3,
    fine_tuning=1e-3,
    scaling="root",
)
def lamb(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """You et al. 2020; gradients longer than 1 in all are shortened to 1."""
    from timm.optim.lamb import Lamb

    return Lamb(groups, lr=rate)
