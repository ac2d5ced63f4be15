"""The contract of a source of batches."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor


def unnamed(batch: int) -> Sequence[str]:
    """Nobody knows what the images of a batch are called."""
    return ()


class Epoch(NamedTuple):
    """One pass over the images: `steps` is how many batches there will be, or about; `batches` gives them in turn.

    A batch is a tensor or a tuple of tensors, whatever the objective takes. `named` says what the images of a batch,
    counted from 0, are called. `rest` gives the batches from a number on, drawn by `generator` as it then is: a source
    that says both need not make batches twice when a training goes on in the middle of an epoch.
    """

    steps: int
    batches: Iterator[Any]
    named: Callable[[int], Sequence[str]] = unnamed
    generator: torch.Generator | None = None
    rest: Callable[[int], Iterator[Any]] | None = None

    def after(self, done: int, drawn: Tensor | None) -> Iterator[Any]:
        """The batches after the first `done`, as they would have come; `drawn` is the generator's state after those."""
        if self.rest is not None and self.generator is not None and drawn is not None:
            self.generator.set_state(drawn)
            return self.rest(done)
        for _ in islice(self.batches, done):
            pass
        return self.batches


class Batches(Protocol):
    """A source of batches; `notes` are sentences on what should be known of them."""

    @property
    def notes(self) -> Sequence[str]:
        """They say where images are not just those that were decoded."""

    def epoch(self, seed: int, rank: int = 0, ranks: int = 1) -> Epoch:
        """The batches of one epoch.

        All that is random in them is drawn by `seed`: the same seed gives the same batches. Of `ranks` processes that
        train together the one with this `rank` gets its own part of each batch; every one gets as many batches.
        """
