"""Muon for networks of any kind."""

import torch

from linnaea.learning.optimizers.contract import OPTIMIZERS, Groups

MOMENTUM = 0.95


@OPTIMIZERS.register(
    "muon",
    title="Muon",
    meaning="Momentum made orthogonal for matrices and convolutions before the head, NAdamW for all else.",
    order=7,
    amount=("the weight decay", 0.02, 0, 1),
    from_scratch=1e-3,
    fine_tuning=1e-4,
    scaling="root",
)
def muon(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """Jordan et al. 2024, with steps of the size of Adam's (Liu et al. 2025), so that one rate fits both kinds."""
    from timm.optim.muon import Muon

    parted = [{**group, "use_fallback": not group["orthogonal"]} for group in groups]
    return Muon(parted, lr=rate, momentum=MOMENTUM, nesterov=True, ns_coefficients="original", betas=(0.9, 0.999))
