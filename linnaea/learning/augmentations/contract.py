"""The contract of an augmentation, and how several are applied to a batch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from linnaea.errors import UsageError
from linnaea.learning.amounts import look_up
from linnaea.learning.targets import as_weights
from linnaea.registry import Registry
from linnaea.runtime.arguments import COLOUR

DRAWS = 8


@dataclass(frozen=True)
class Augmentation:
    """What is done to a batch of images and, where it mixes them, to their labels.

    `change` maps images (N, C, H, W) of uint8 and a generator to images of the same shape and type; an `amount` is
    handed on as a third argument. It draws from that generator alone and leaves its input as it is. One of `colours` is
    for images of one or three channels alone. One that shows a part of an image, of which the amount is the least area,
    says by how much it is stretched at most: 1 is not at all.
    """

    change: Callable[..., Any]
    colours: bool = False
    stretch: float | None = None

    def apply(
        self, images: Tensor, targets: Tensor, classes: int, generator: torch.Generator, amount: float | None
    ) -> tuple[Tensor, Tensor]:
        """Changed images, and targets as they were."""
        return self.change(images, generator, *([] if amount is None else [amount])), targets


@dataclass(frozen=True)
class Mixing(Augmentation):
    """An augmentation after which an image shows several classes.

    `change` maps images, class weights (N, K), a generator and the amount to images and class weights of the same
    shapes; the weights of an image keep their sum.
    """

    def apply(
        self, images: Tensor, targets: Tensor, classes: int, generator: torch.Generator, amount: float | None
    ) -> tuple[Tensor, Tensor]:
        """Mixed images, and their class weights (N, K) of float32."""
        weights = as_weights(targets, classes)
        mixed: tuple[Tensor, Tensor] = self.change(images, weights, generator, *([] if amount is None else [amount]))
        return mixed


AUGMENTATIONS: Registry[Augmentation] = Registry(
    "augmentation",
    "linnaea.learning.augmentations",
    title="Augmentations",
    use="Chosen with `linnaea train --augment`, shown by `linnaea preview`.",
)


def augment(
    images: Tensor, targets: Tensor, names: Sequence[str], generator: torch.Generator, classes: int
) -> tuple[Tensor, Tensor]:
    """Apply the named augmentations in order to images (N, C, H, W) of uint8 and targets (N,) or (N, K).

    Targets come back as class weights (N, K) where a name mixes images, else as they are. Raises UsageError for a
    name, or a number after it, that means nothing.
    """
    for name in names:
        member, amount = look_up(AUGMENTATIONS, name)
        images, targets = member.apply(images, targets, classes, generator, amount)
    return images, targets


def require_channels_for(names: Sequence[str], channels: int) -> None:
    """Raise UsageError for an augmentation of colours, where images are no colours."""
    for name in names:
        if look_up(AUGMENTATIONS, name)[0].colours and channels not in (1, COLOUR):
            raise UsageError(
                f"the augmentation {name} changes colours, and the images have {channels} channels: leave it out."
            )


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Let what draws from torch's global generator, as torchvision does, draw from `generator` instead.

    The global one is seeded by a number drawn from `generator` and is afterwards what it was: nothing else draws
    differently. Not for several threads at once.
    """
    seed = int(torch.randint(2**62, (1,), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def in_parts(change: Callable[[Tensor], Tensor], images: Tensor, generator: torch.Generator) -> Tensor:
    """Apply a transform of torchvision, which draws once per call, to each eighth of the batch."""
    with drawing_from(generator):
        return torch.cat([change(part) for part in images.chunk(DRAWS)])
