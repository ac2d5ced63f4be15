"""Colours as another camera or light would give them."""

import torch
from torch import Tensor
from torchvision.transforms import v2

from linnaea.learning.augmentations.contract import AUGMENTATIONS, Augmentation, in_parts


def colour_jitter(images: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """Change brightness, contrast and saturation by up to 40 %, the hue not at all; eight draws per batch."""
    return in_parts(v2.ColorJitter(strength, strength, strength), images, generator)


AUGMENTATIONS.register(
    "colour_jitter",
    title="Colour jitter",
    meaning="Change brightness, contrast and saturation by up to 40 %, the hue not at all; eight draws per batch.",
    amount=("the strength", 0.4, 0, 1),
)(Augmentation(colour_jitter, colours=True))
