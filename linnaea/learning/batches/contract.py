"""The contract of a source of batches."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol


def unnamed(batch: int) -> Sequence[str]:
    """Nobody knows what the images of a batch are called."""
    return ()


class Epoch(NamedTuple):
    """One pass over the images: `steps` is how many batches there will be, or about; `batches` gives them in turn.

    A batch is a tensor or a tuple of tensors, whatever the objective takes. `named` says what the images of a batch,
    counted from 0, are called.
    """

    steps: int
    batches: Iterator[Any]
    named: Callable[[int], Sequence[str]] = unnamed


class Batches(Protocol):
    """A source of batches."""

    def epoch(self, seed: int, rank: int = 0, ranks: int = 1) -> Epoch:
        """The batches of one epoch.

        All that is random in them is drawn by `seed`: the same seed gives the same batches. Of `ranks` processes that
        train together the one with this `rank` gets its own part of each batch; every one gets as many batches.
        """
