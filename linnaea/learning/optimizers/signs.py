"""Lion, which steps by signs."""

import torch

from linnaea.learning.optimizers.contract import OPTIMIZERS, Groups


@OPTIMIZERS.register(
    "lion",
    title="Lion",
    meaning="Steps by the sign of the momentum, all of one length; half of Adam's memory.",
    order=6,
    amount=("the weight decay", 0.1, 0, 10),
    from_scratch=2e-4,
    fine_tuning=3e-5,
    scaling="root",
)
def lion(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """Chen et al. 2023."""
    from timm.optim.lion import Lion

    return Lion(groups, lr=rate)
