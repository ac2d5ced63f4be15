"""Augmentations: what is changed in training pictures without changing what they show.

An augmentation maps a batch of images (N, 3, H, W) of uint8 to another, drawing from the generator it is given. Add
one by registering a function in `AUGMENTATIONS`.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from linnaea.registry import Registry

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
AUGMENTATIONS: Registry[Augmentation] = Registry("augmentation")


@AUGMENTATIONS.register("flip")
def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror every second picture left to right, at random."""
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)


@AUGMENTATIONS.register("shift")
def shift(images: Tensor, generator: torch.Generator) -> Tensor:
    """Move each picture by up to a sixteenth of its side, edges filled by reflection."""
    return _crop_randomly(images, max(1, images.shape[-1] // 16), generator)


@AUGMENTATIONS.register("zoom")
def zoom(images: Tensor, generator: torch.Generator) -> Tensor:
    """Show between 60 % and all of each picture's area, anywhere in it; eight draws per batch."""
    parts = images.chunk(8)
    side = images.shape[-1]
    shown = (0.6 + 0.4 * torch.rand(len(parts), generator=generator)).sqrt().mul(side).round().long().tolist()
    places = torch.rand(len(parts), 2, generator=generator)
    zoomed = []
    for part, inner, place in zip(parts, shown, places, strict=True):
        top, left = (place * (side - inner + 1)).long().clamp(max=side - inner).tolist()
        window = part[:, :, top : top + inner, left : left + inner].float()
        resized = functional.interpolate(window, size=side, mode="bilinear", align_corners=False)
        zoomed.append(resized.round().to(torch.uint8))
    return torch.cat(zoomed)


def _crop_randomly(images: Tensor, margin: int, generator: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    padded = functional.pad(images.float(), (margin,) * 4, mode="reflect").to(images.dtype)
    moves = torch.randint(2 * margin + 1, (count, 2), generator=generator).tolist()
    return torch.stack(
        [
            picture[:, top : top + height, left : left + width]
            for picture, (top, left) in zip(padded, moves, strict=True)
        ]
    )


def augment(images: Tensor, names: Sequence[str], generator: torch.Generator) -> Tensor:
    """Apply the named augmentations in order to images (N, 3, H, W) of uint8."""
    for name in names:
        images = AUGMENTATIONS[name](images, generator)
    return images
