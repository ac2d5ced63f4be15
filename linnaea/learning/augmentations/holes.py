"""Rectangles that hide a part of an image, each image its own.

torchvision erases one rectangle per call, the same in a whole batch: here one mask is made for all images at once.
"""

import math

import torch
from torch import Tensor

from linnaea.learning.augmentations.contract import AUGMENTATIONS, Augmentation

ERASED_AREA = (0.02, 0.33)
ERASED_RATIO = (0.3, 3.3)


def cutout(images: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """Black out a square of half the side, its centre anywhere (DeVries and Taylor 2017)."""
    count, _, height, width = images.shape
    side = torch.full((count,), max(1, round(min(height, width) * share)))
    return images * ~around(centres(images, generator), side, side, images)


def random_erasing(images: Tensor, generator: torch.Generator, probability: float) -> Tensor:
    """Black out a rectangle of 2 % to 33 % of the area in every second image (Zhong et al. 2020)."""
    count, _, height, width = images.shape
    least, most = ERASED_AREA
    area = (least + (most - least) * torch.rand(count, generator=generator)) * height * width
    flattest, steepest = (math.log(ratio) for ratio in ERASED_RATIO)
    ratio = (flattest + (steepest - flattest) * torch.rand(count, generator=generator)).exp()
    tall = (area * ratio).sqrt().round().clamp(1, height).long()
    wide = (area / ratio).sqrt().round().clamp(1, width).long()
    places = torch.rand(2, count, generator=generator)
    top, left = (places[0] * (height - tall + 1)).long(), (places[1] * (width - wide + 1)).long()
    chosen = torch.rand(count, generator=generator) < probability
    hidden = rectangles(top, top + tall, left, left + wide, images) & chosen.view(-1, 1, 1, 1).to(images.device)
    return images * ~hidden


def centres(images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A random row and column of each image, (N,) each."""
    count, _, height, width = images.shape
    return (
        torch.randint(height, (count,), generator=generator),
        torch.randint(width, (count,), generator=generator),
    )


def around(centre: tuple[Tensor, Tensor], tall: Tensor, wide: Tensor, images: Tensor) -> Tensor:
    """Where rectangles of these heights and widths (N,) around their centres lie in the images (N, 1, H, W)."""
    top, left = centre[0] - tall // 2, centre[1] - wide // 2
    return rectangles(top, top + tall, left, left + wide, images)


def rectangles(top: Tensor, bottom: Tensor, left: Tensor, right: Tensor, images: Tensor) -> Tensor:
    """Whether each pixel lies in its image's rectangle (N, 1, H, W); the ends (N,) are excluded."""
    rows, columns = torch.arange(images.shape[2]), torch.arange(images.shape[3])
    down = (rows >= top[:, None]) & (rows < bottom[:, None])
    across = (columns >= left[:, None]) & (columns < right[:, None])
    return (down[:, None, :, None] & across[:, None, None, :]).to(images.device)


AUGMENTATIONS.register(
    "cutout",
    title="Cutout",
    meaning="Black out a square of half the side, its centre anywhere (DeVries and Taylor 2017).",
    amount=("the share of the side", 0.5, 0.01, 1),
)(Augmentation(cutout))
AUGMENTATIONS.register(
    "random_erasing",
    title="Random erasing",
    meaning="Black out a rectangle of 2 % to 33 % of the area in every second image (Zhong et al. 2020).",
    amount=("the probability", 0.5, 0, 1),
)(Augmentation(random_erasing))
