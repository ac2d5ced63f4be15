"""Published policies, which choose among many operations; their settings are torchvision's."""

import torch
from torch import Tensor
from torchvision.transforms import v2

from linnaea.learning.augmentations.contract import AUGMENTATIONS, Augmentation, in_parts


def autoaugment(images: Tensor, generator: torch.Generator) -> Tensor:
    """The policy that was learnt on ImageNet (Cubuk et al. 2019); eight draws per batch."""
    return in_parts(v2.AutoAugment(), images, generator)


def randaugment(images: Tensor, generator: torch.Generator, magnitude: float) -> Tensor:
    """Two operations, both with magnitude 9 of 30 (Cubuk et al. 2020); eight draws per batch."""
    return in_parts(v2.RandAugment(magnitude=round(magnitude)), images, generator)


def trivialaugment(images: Tensor, generator: torch.Generator) -> Tensor:
    """One operation of any magnitude (Müller and Hutter 2021); eight draws per batch."""
    return in_parts(v2.TrivialAugmentWide(), images, generator)


AUGMENTATIONS.register(
    "autoaugment",
    title="AutoAugment",
    meaning="The policy that was learnt on ImageNet (Cubuk et al. 2019); eight draws per batch.",
)(Augmentation(autoaugment, colours=True))
AUGMENTATIONS.register(
    "randaugment",
    title="RandAugment",
    meaning="Two operations, both with magnitude 9 of 30 (Cubuk et al. 2020); eight draws per batch.",
    amount=("the magnitude", 9, 0, 30),
)(Augmentation(randaugment, colours=True))
AUGMENTATIONS.register(
    "trivialaugment",
    title="TrivialAugment",
    meaning="One operation of any magnitude (Müller and Hutter 2021); eight draws per batch.",
)(Augmentation(trivialaugment, colours=True))
