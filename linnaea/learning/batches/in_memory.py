"""Images at the size at which the network sees them, in memory or streamed, augmented there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from linnaea.arrays import Integers
from linnaea.learning.augmentations import augment
from linnaea.learning.batches.ahead import batches_ahead
from linnaea.learning.batches.contract import Epoch
from linnaea.learning.batches.order import batches_of
from linnaea.learning.examples import Examples


@dataclass(frozen=True)
class InMemory:
    """Batches of images (B, 3, S, S) of uint8, laid out as `layout` says, and targets (B,) or (B, K).

    `draw` maps a seed to the rows of an epoch; `augmentations` are names of those that change images and leave labels
    alone. `ids` are what the images are called, where that is known; any after them were made of those.
    """

    examples: Examples
    batch_size: int
    draw: Callable[[int], Integers]
    augmentations: Sequence[str] = ()
    layout: torch.memory_format = torch.channels_last
    ids: Sequence[str] = ()
    notes: Sequence[str] = ()

    def epoch(self, seed: int, rank: int = 0, ranks: int = 1) -> Epoch:
        """Every row that is drawn once, in random order."""
        generator = torch.Generator().manual_seed(seed)
        parts = batches_of(self.draw(seed), self.batch_size, generator, ranks)
        own = slice(rank, None, ranks)

        def rest(done: int) -> Iterator[tuple[Tensor, Tensor]]:
            return self._batches(parts[done:], generator, own)

        return Epoch(len(parts), rest(0), lambda batch: self._named(parts[batch]), generator, rest)

    def _named(self, rows: Integers) -> list[str]:
        return [self.ids[row] if row < len(self.ids) else f"made image {row + 1}" for row in rows] if self.ids else []

    def _batches(
        self, parts: Sequence[Integers], generator: torch.Generator, own: slice
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Of each batch the `own` images, each changed as where one process has the whole batch."""
        for images, targets in batches_ahead(self.examples, parts, own):
            images, _ = augment(images, targets, self.augmentations, generator, 0)
            yield images[own].contiguous(memory_format=self.layout), targets[own]
