"""Adam and its relatives: each parameter by the size of its own gradients."""

import torch

from linnaea.learning.optimizers.contract import OPTIMIZERS, Groups


@OPTIMIZERS.register(
    "adam",
    title="Adam",
    meaning="Momentum divided by the root of the mean square of each gradient; the decay joins the gradient.",
    order=2,
    amount=("the weight decay", 0, 0, 1),
    from_scratch=1e-3,
    fine_tuning=2e-4,
    scaling="root",
)
def adam(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """Kingma and Ba 2015."""
    return torch.optim.Adam(groups, lr=rate, fused=True)


@OPTIMIZERS.register(
    "amsgrad",
    title="AMSGrad",
    meaning="Adam with the largest mean square so far, so that steps never grow again.",
    order=3,
    amount=("the weight decay", 0, 0, 1),
    from_scratch=1e-3,
    fine_tuning=2e-4,
    scaling="root",
)
def amsgrad(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """Reddi et al. 2018."""
    return torch.optim.Adam(groups, lr=rate, amsgrad=True, fused=True)


@OPTIMIZERS.register(
    "adamw",
    title="AdamW",
    meaning="Adam whose decay acts on the weights themselves.",
    order=4,
    amount=("the weight decay", 0.02, 0, 1),
    from_scratch=1e-3,
    fine_tuning=2e-4,
    scaling="root",
)
def adamw(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """Loshchilov and Hutter 2019."""
    return torch.optim.AdamW(groups, lr=rate, fused=True)
