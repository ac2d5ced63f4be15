"""Gradient descent with momentum."""

import torch

from linnaea.learning.optimizers.contract import OPTIMIZERS, Groups

MOMENTUM = 0.9


@OPTIMIZERS.register(
    "sgd",
    title="SGD",
    meaning="Stochastic gradient descent with Nesterov momentum 0.9.",
    order=1,
    amount=("the weight decay", 5e-4, 0, 1),
    from_scratch=0.1,
    fine_tuning=0.001,
    scaling="linear",
)
def sgd(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """Sutskever et al. 2013; the decay is added to the gradient."""
    return torch.optim.SGD(groups, lr=rate, momentum=MOMENTUM, nesterov=True)
