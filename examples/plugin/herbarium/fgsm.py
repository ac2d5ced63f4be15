"""The fast gradient sign method."""

import torch
from torch import Tensor
from torch.nn import functional

from herbarium.attacks import ATTACKS
from linnaea.models.model import Model


@ATTACKS.register("fgsm", title="FGSM", cost="seconds")
def fgsm(model: Model, pixels: Tensor, classes: Tensor, epsilon: float) -> Tensor:
    """One step by the sign of the gradient of the loss (Goodfellow et al. 2015)."""
    pixels = pixels.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(functional.cross_entropy(model(pixels), classes), pixels)
    return (pixels + epsilon * gradient.sign()).clamp(0, 1).detach()
