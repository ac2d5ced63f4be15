"""What may be done beside the steps of a training: told, kept, judged, averaged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from linnaea.learning.checkpoints import load_checkpoint, save_checkpoint

LAST = "last.safetensors"


@dataclass
class State:
    """A training as hooks see it: the model, the same model as it is run (`network`), the optimizer, a row per epoch.

    Only where `first` is true, in the first of several processes, is anything told or written. A hook that sets
    `stopping` ends the training before the next epoch. `loss` is that of the last batch.
    """

    model: nn.Module
    network: nn.Module
    optimizer: torch.optim.Optimizer
    first: bool = True
    history: list[dict[str, Any]] = field(default_factory=list)
    stopping: bool = False
    loss: Tensor | None = None

    @property
    def seconds(self) -> float:
        """How long the training has taken, up to the last row."""
        return float(self.history[-1]["seconds"]) if self.history else 0.0


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


@dataclass
class Kept(Hook):
    """Keeps all that a training needs to go on in `last.safetensors`, after every epoch, and goes on from there.

    `others` are hooks of which something is kept as well. It comes after them among the hooks of a loop.
    """

    folder: Path
    others: Sequence[Hook] = ()

    def begin(self, state: State) -> None:
        """Bring back a training that was broken off."""
        if not resumable(self.folder):
            return
        kept, tensors = load_checkpoint(self.folder / LAST, state.model, state.optimizer)
        state.history.extend(kept["history"])
        state.stopping = kept["stopping"]
        for number, hook in enumerate(self.others):
            own = f"{number}/"
            hook.restore({name.removeprefix(own): tensor for name, tensor in tensors.items() if name.startswith(own)})

    def after_epoch(self, state: State) -> None:
        """Write the checkpoint; the previous one stays until this one is whole."""
        if not state.first:
            return
        more = {
            f"{number}/{name}": tensor
            for number, hook in enumerate(self.others)
            for name, tensor in hook.tensors().items()
        }
        kept = {"history": state.history, "stopping": state.stopping}
        save_checkpoint(self.folder / LAST, state.model, state.optimizer, kept, more)


def resumable(folder: Path | None) -> bool:
    """Whether a training was broken off here that can go on."""
    return folder is not None and (folder / LAST).exists()
