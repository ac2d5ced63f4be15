"""What may be done beside the steps of a training: told, kept, judged, averaged."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from linnaea.learning.batches import Epoch

logger = logging.getLogger("linnaea")


@dataclass
class Place:
    """Where in an epoch a training is: how many `batches` were done, with the loss and the figures of each.

    `drawn` are the states of what is random, by name, from which a training that was brought back has yet to go on.
    """

    batches: int = 0
    losses: list[Tensor] = field(default_factory=list)
    figures: list[dict[str, Tensor]] = field(default_factory=list)
    drawn: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class State:
    """A training as hooks see it: the model, the same model as it is run (`network`), the optimizer, a row per epoch.

    Only where `first` is true, in the first of several processes, is anything told or written; `alone` says that there
    are no others. A hook that sets `stopping` ends the training before the next epoch. `loss` is that of the last
    batch, `progress` how far the training has come with the last step, 0 to 1, `place` where in an epoch it is,
    `source` where its batches come from. `parts` is how many each batch is taken in, because of memory, `setbacks` how
    often the rate was halved. `began` is a time of `time.monotonic`. `scaling` keeps the scale of gradients, where the
    number format needs one. Where several processes share a network, `gather` brings into the model, and into what is
    kept of the optimizer, what all of them have learnt, and `spread` the other way round; each is called in all of them
    at once.
    """

    model: nn.Module
    network: nn.Module
    optimizer: torch.optim.Optimizer
    first: bool = True
    alone: bool = True
    history: list[dict[str, Any]] = field(default_factory=list)
    stopping: bool = False
    loss: Tensor | None = None
    progress: float = 0.0
    place: Place = field(default_factory=Place)
    source: Epoch | None = None
    parts: int = 1
    setbacks: int = 0
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    scaling: Any = None
    gather: Callable[[], None] = lambda: None
    spread: Callable[[], None] = lambda: None

    @property
    def seconds(self) -> float:
        """How long the training has taken."""
        return time.monotonic() - self.began

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return next(self.network.parameters()).device

    def say(self, sentence: str) -> None:
        """Tell what happened, and write it down: in the row of this epoch, and among the notes on the training."""
        if self.first:
            logger.warning(sentence)
        self.notes.append(sentence)
        self.remarks.append(sentence)

    def mention(self, sentence: str) -> None:
        """Tell what became of something that was asked for, and note it."""
        if self.first:
            logger.info(sentence)
        self.notes.append(sentence)


class Hook:
    """The contract of a hook: what is not written here does nothing.

    `seconds` is the time to be kept for it after the last step of a training that has a deadline. `tensors` are what a
    checkpoint keeps of it, and gives back to `restore`.
    """

    seconds = 0.0

    def begin(self, state: State) -> None:
        """Before the first epoch; a hook may bring an earlier training back here."""

    def after_step(self, state: State) -> None:
        """After a step of the optimizer."""

    def stopped(self, state: State) -> None:
        """After a step, when the training was asked from outside to end, which it does next."""

    def diverged(self, state: State, error: Exception) -> bool:
        """After a loss that is no number; whether the training was brought back to where it may go on."""
        return False

    def figures(self, state: State) -> Mapping[str, float]:
        """Further columns for the row of the epoch that has just ended."""
        return {}

    def after_epoch(self, state: State) -> None:
        """After an epoch, whose row is the last of the history."""

    def end(self, state: State) -> None:
        """After the last epoch."""

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what a checkpoint kept."""


@dataclass
class Told(Hook):
    """Tells the row of each epoch."""

    tell: Callable[[dict[str, Any]], None]

    def after_epoch(self, state: State) -> None:
        """Tell the last row."""
        if state.first:
            self.tell(state.history[-1])
