"""Saliency: the gradient of the answer by the pixels."""

import torch
from torch import Tensor

from herbarium.highlighters import HIGHLIGHTERS
from linnaea.models.model import Model


@HIGHLIGHTERS.register("saliency", title="Saliency", cost="seconds")
def saliency(model: Model, pixels: Tensor, classes: Tensor) -> Tensor:
    """How much the score of the answer changes with each pixel (Simonyan et al. 2014)."""
    pixels = pixels.clone().requires_grad_()
    scores = model(pixels).gather(1, classes[:, None]).sum()
    (gradient,) = torch.autograd.grad(scores, pixels)
    return gradient.abs().amax(dim=1)
