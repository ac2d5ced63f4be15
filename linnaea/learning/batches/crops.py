"""Random parts of photos that were decoded at a larger size than the network's: a crop costs no sharpness.

A part of an image that was decoded at the network's own size has fewer pixels than the network sees, and enlarging it
makes none; of an image of twice the side, a part of a quarter of its area still has them all.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from linnaea.arrays import Integers, Targets
from linnaea.data.images.pixels import Recipe, decode_files
from linnaea.errors import UsageError
from linnaea.learning.augmentations import augment
from linnaea.learning.batches.contract import Epoch
from linnaea.learning.batches.order import batches_of
from linnaea.learning.examples import Examples
from linnaea.runtime.containers import Located

STRETCH = 4 / 3  # of a crop, at most (Szegedy et al. 2015)


@dataclass(frozen=True)
class Photos:
    """The files of training images, in their order, and how they became pixels."""

    paths: Sequence[Located]
    recipe: Recipe

    def at(self, side: int) -> Recipe:
        """How they become squares of another side."""
        return replace(self.recipe, size=side)


@dataclass(frozen=True)
class Crops:
    """Batches of images (B, C, size, size) of uint8, and their targets, from `examples` decoded at a larger size.

    Each image shows a part of its own, of `least_area` to all of it, of a width that is `stretch` times the height at
    most, or the reverse; then come the `augmentations`, and the `layout`. `draw` maps a seed to the rows of an epoch.
    `ids` are what the images are called, where that is known.
    """

    examples: Examples
    size: int
    batch_size: int
    draw: Callable[[int], Integers]
    least_area: float = 0.25
    stretch: float = STRETCH
    augmentations: Sequence[str] = ()
    layout: torch.memory_format = torch.channels_last
    ids: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not 0 < self.least_area <= 1:
            raise UsageError(f"least_area is {self.least_area}; expected a share of the image, above 0 and at most 1.")
        if self.examples.size < self.size:
            raise UsageError(
                f"the images were decoded at {self.examples.size} pixels, and the network sees {self.size}: decode "
                "them at its size or larger."
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """How large the photos were decoded."""
        return (
            f"Parts of images were cut from the photos at {self.examples.size} pixels, not enlarged from {self.size}.",
        )

    def epoch(self, seed: int, rank: int = 0, ranks: int = 1) -> Epoch:
        """Every row that is drawn once, in random order, and another part of each image in every epoch."""
        generator = torch.Generator().manual_seed(seed)
        parts = batches_of(self.draw(seed), self.batch_size, generator, ranks)
        own = slice(rank, None, ranks)

        def rest(done: int) -> Iterator[tuple[Tensor, Tensor]]:
            return self._batches(parts[done:], generator, own)

        return Epoch(len(parts), rest(0), lambda batch: self._named(parts[batch]), generator=generator, rest=rest)

    def _named(self, rows: Integers) -> list[str]:
        return [self.ids[row] for row in rows] if self.ids else []

    def _batches(
        self, parts: Sequence[Integers], generator: torch.Generator, own: slice
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in parts:
            images, targets = self.examples.batch(rows)
            cut = cropped(images, self.size, self.least_area, generator, self.stretch)
            cut, _ = augment(cut, targets, self.augmentations, generator, 0)
            yield cut[own].contiguous(memory_format=self.layout), targets[own]


def decoded_for_crops(paths: Sequence[Located], targets: Targets, recipe: Recipe, side: int) -> Examples:
    """The photos decoded by the recipe, but as squares of this side.

    Raises UsageError for photos that cannot be read: those are left out before.
    """
    decoded = decode_files(paths, replace(recipe, size=side))
    if decoded.failed:
        row, reason = next(iter(decoded.failed.items()))
        raise UsageError(f"{len(decoded.failed)} photos cannot be read (first {paths[row]}: {reason}): leave them out.")
    return Examples(decoded.images, targets)


def cropped(
    images: Tensor, size: int, least_area: float, generator: torch.Generator, stretch: float = STRETCH
) -> Tensor:
    """A part of each image (N, C, H, W) of uint8 at a side of `size` pixels; each draws its own."""
    height, width = images.shape[2:]
    areas = least_area + (1 - least_area) * torch.rand(len(images), generator=generator)
    ratios = (math.log(stretch) * (2 * torch.rand(len(images), generator=generator) - 1)).exp()
    places = torch.rand(len(images), 2, generator=generator)
    tall = ((areas / ratios).sqrt() * height).round().clamp(1, height)
    wide = ((areas * ratios).sqrt() * width).round().clamp(1, width)
    tops, lefts = places[:, 0] * (height - tall), places[:, 1] * (width - wide)
    boxes = torch.stack([tops.round(), lefts.round(), tall, wide], dim=1).int().tolist()
    parts = torch.empty(len(images), images.shape[1], size, size, dtype=images.dtype)
    for part, image, box in zip(parts, images, boxes, strict=True):
        part.copy_(functional.resized_crop(image, *box, [size, size], antialias=True))
    return parts
