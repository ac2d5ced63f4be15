"""Images mixed with others of the batch, and their labels in the same proportion; each image draws its own."""

import torch
from torch import Tensor
from torch.distributions import Beta

from linnaea.learning.augmentations.contract import AUGMENTATIONS, Mixing, drawing_from
from linnaea.learning.augmentations.holes import around, centres


def mixup(images: Tensor, weights: Tensor, generator: torch.Generator, alpha: float) -> tuple[Tensor, Tensor]:
    """Blend each image with another; shares are drawn from Beta(0.2, 0.2), the larger its own (Zhang et al. 2018)."""
    partners = torch.randperm(len(images), generator=generator)
    kept = _shares(alpha, len(images), generator)
    return blend(images, weights, partners, torch.maximum(kept, 1 - kept))


def cutmix(images: Tensor, weights: Tensor, generator: torch.Generator, alpha: float) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of another image; its area is drawn from Beta(1, 1) (Yun et al. 2019)."""
    height, width = images.shape[2:]
    partners = torch.randperm(len(images), generator=generator)
    side = (1 - _shares(alpha, len(images), generator)).sqrt()
    pasted = around(centres(images, generator), (side * height).long(), (side * width).long(), images)
    mixed = torch.where(pasted, images[partners.to(images.device)], images)
    return mixed, _mixed(weights, partners, 1 - pasted.float().mean(dim=(1, 2, 3)).to(weights.device))


def blend(images: Tensor, weights: Tensor, partners: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """The share `kept` (N,) of each image and its weights, the rest of its partner's (N,)."""
    share = kept.to(images.device).view(-1, 1, 1, 1)
    others = images[partners.to(images.device)].float()
    return others.lerp(images.float(), share).round().to(torch.uint8), _mixed(weights, partners, kept)


def _mixed(weights: Tensor, partners: Tensor, kept: Tensor) -> Tensor:
    return weights[partners].lerp(weights, kept.to(weights.device).view(-1, 1))


def _shares(alpha: float, count: int, generator: torch.Generator) -> Tensor:
    with drawing_from(generator):
        drawn: Tensor = Beta(alpha, alpha).sample(torch.Size([count]))
    return drawn


AUGMENTATIONS.register(
    "mixup",
    title="MixUp",
    meaning="Blend each image with another in shares drawn from Beta(0.2, 0.2) (Zhang et al. 2018).",
    amount=("alpha of the Beta distribution", 0.2, 0.05, 10),
)(Mixing(mixup))
AUGMENTATIONS.register(
    "cutmix",
    title="CutMix",
    meaning="Paste a rectangle of another image; its area is drawn from Beta(1, 1) (Yun et al. 2019).",
    amount=("alpha of the Beta distribution", 1, 0.05, 10),
)(Mixing(cutmix))
