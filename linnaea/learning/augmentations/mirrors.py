"""Mirrored and turned images."""

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from linnaea.learning.augmentations.contract import AUGMENTATIONS, Augmentation, in_parts


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror every second image left to right, at random."""
    return _mirrored(images, 3, generator)


def vertical_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror every second image top to bottom, at random."""
    return _mirrored(images, 2, generator)


def rotation(images: Tensor, generator: torch.Generator, degrees: float) -> Tensor:
    """Turn images by up to 15 degrees either way, black where nothing was; eight draws per batch."""
    return in_parts(v2.RandomRotation(degrees, interpolation=InterpolationMode.BILINEAR), images, generator)


def _mirrored(images: Tensor, dimension: int, generator: torch.Generator) -> Tensor:
    chosen = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(chosen.view(-1, 1, 1, 1).to(images.device), images.flip(dimension), images)


AUGMENTATIONS.register("flip", title="Mirroring", meaning="Mirror every second image left to right, at random.")(
    Augmentation(flip)
)
AUGMENTATIONS.register(
    "vertical_flip", title="Vertical mirroring", meaning="Mirror every second image top to bottom, at random."
)(Augmentation(vertical_flip))
AUGMENTATIONS.register(
    "rotation",
    title="Rotation",
    meaning="Turn images by up to 15 degrees either way, black where nothing was; eight draws per batch.",
    amount=("degrees", 15, 0, 180),
)(Augmentation(rotation))
