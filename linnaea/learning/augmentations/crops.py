"""Parts of images, moved or enlarged."""

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from linnaea.learning.augmentations.contract import AUGMENTATIONS, Augmentation, in_parts


def shift(images: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """Move each image by up to a sixteenth of its side, edges filled by reflection."""
    rows, columns = _moved(images, share, generator)
    return _gather(images, _reflected(rows, images.shape[2]), _reflected(columns, images.shape[3]))


def random_crop(images: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """Move each image by up to an eighth of its side, edges filled with black (He et al. 2016)."""
    rows, columns = _moved(images, share, generator)
    shown = [
        places == places.clamp(0, side - 1) for places, side in ((rows, images.shape[2]), (columns, images.shape[3]))
    ]
    inside = (shown[0][:, None, :, None] & shown[1][:, None, None, :]).to(images.device)
    moved = _gather(images, rows.clamp(0, images.shape[2] - 1), columns.clamp(0, images.shape[3] - 1))
    return moved * inside


def zoom(images: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """Show between half and all of each image's area, anywhere in it."""
    height, width = images.shape[2:]
    scales = (share + (1 - share) * torch.rand(len(images), generator=generator)).sqrt().tolist()
    places = torch.rand(len(images), 2, generator=generator).tolist()
    zoomed = torch.empty_like(images)
    for row, (scale, (down, across)) in enumerate(zip(scales, places, strict=True)):
        inner = max(1, round(scale * height)), max(1, round(scale * width))
        top, left = int(down * (height - inner[0] + 1)), int(across * (width - inner[1] + 1))
        window = images[row, :, top : top + inner[0], left : left + inner[1]]
        zoomed[row] = functional.resize(window, [height, width], antialias=True)
    return zoomed


def random_resized_crop(images: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """Show 8 % to all of the area, stretched by up to a third (Szegedy et al. 2015); eight draws per batch."""
    return in_parts(v2.RandomResizedCrop(images.shape[2:], scale=(share, 1.0), antialias=True), images, generator)


def _moved(images: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows (N, H) and columns (N, W) that each image is read from, some of them outside of it."""
    margin = max(1, int(min(images.shape[2:]) * share))
    moves = torch.randint(2 * margin + 1, (len(images), 2), generator=generator) - margin
    return torch.arange(images.shape[2]) + moves[:, :1], torch.arange(images.shape[3]) + moves[:, 1:]


def _reflected(places: Tensor, side: int) -> Tensor:
    """Places outside of 0 to side - 1, mirrored at the border."""
    inner = places.abs()
    return torch.where(inner >= side, 2 * (side - 1) - inner, inner)


def _gather(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Each image read at its own rows (N, H) and columns (N, W), in one go for the whole batch."""
    count, channels, height, width = images.shape
    pixels = images.permute(0, 2, 3, 1).reshape(-1, channels)
    first = torch.arange(count).view(-1, 1, 1) * height * width
    places = (first + rows[:, :, None] * width + columns[:, None, :]).flatten().to(images.device)
    return pixels.index_select(0, places).view(count, height, width, channels).permute(0, 3, 1, 2)


AUGMENTATIONS.register(
    "shift",
    title="Shift",
    meaning="Move each image by up to a sixteenth of its side, edges filled by reflection.",
    amount=("the share of the side", 0.0625, 0.01, 0.5),
)(Augmentation(shift))
AUGMENTATIONS.register(
    "zoom",
    title="Zoom",
    meaning="Show between half and all of each image's area, anywhere in it.",
    amount=("the least share of the area", 0.5, 0.01, 1),
)(Augmentation(zoom, stretch=1))
AUGMENTATIONS.register(
    "random_crop",
    title="Random crop",
    meaning="Move each image by up to an eighth of its side, edges filled with black (He et al. 2016).",
    amount=("the share of the side", 0.125, 0.01, 0.5),
)(Augmentation(random_crop))
AUGMENTATIONS.register(
    "random_resized_crop",
    title="Random resized crop",
    meaning="Show 8 % to all of the area, stretched by up to a third (Szegedy et al. 2015); eight draws per batch.",
    amount=("the least share of the area", 0.08, 0.01, 1),
)(Augmentation(random_resized_crop, stretch=4 / 3))
