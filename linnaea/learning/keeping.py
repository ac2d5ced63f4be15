"""Never lose a training: checkpoints by time and after epochs, from which it goes on bit for bit, or is taken back."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from linnaea.learning.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from linnaea.learning.hooks import Hook, Place, State

LAST, PREVIOUS = "last.safetensors", "previous.safetensors"
EVERY = 60.0  # seconds between checkpoints within an epoch
SHARE = 0.02  # of the time, at most, goes into writing them
SETBACKS = 3  # at most
logger = logging.getLogger("linnaea")


@dataclass
class Kept(Hook):
    """Keeps all that a training needs to go on in `last.safetensors`, and goes on from there.

    That is done after an epoch, every so many seconds within one (not where several processes train together), and when
    the training is stopped; after a write that took long, not before it is a fiftieth of the time. The file before it
    stays as `previous.safetensors` and is used where the last one is damaged. `others` are hooks of which something is
    kept as well: this one comes after them among the hooks of a loop. `belongs` says which training it is,
    `told` that it is said where it goes on.
    """

    folder: Path
    others: Sequence[Hook] = ()
    belongs: Mapping[str, Any] = field(default_factory=dict)
    every: float = EVERY
    told: bool = True
    _written: float = 0.0
    _cost: float = 0.0

    def begin(self, state: State) -> None:
        """Bring back a training that was broken off."""
        self._written = time.monotonic()
        if resumable(self.folder):
            seconds = self.bring_back(state)
            state.began = time.monotonic() - seconds
            if self.told and state.first and state.history:
                logger.info(f"The training goes on after epoch {state.history[-1]['epoch']}.")

    def after_step(self, state: State) -> None:
        """Write a checkpoint where it is time for one."""
        if state.alone and self._is_due(self.every):
            self.keep(state)

    def after_epoch(self, state: State) -> None:
        """Write the checkpoint; the previous one stays until this one is whole."""
        if state.stopping or self._is_due(0.0):
            self.keep(state)

    def stopped(self, state: State) -> None:
        """Leave nothing undone."""
        if state.alone:
            self.keep(state)

    def _is_due(self, least: float) -> bool:
        return time.monotonic() - self._written >= max(least, self._cost / SHARE)

    def keep(self, state: State) -> None:
        """Write a checkpoint, unless weights or losses are no numbers: nobody wants to go on from there."""
        if not state.first or not _is_sound(state):
            return
        began = time.monotonic()
        more = {
            f"{number}/{name}": value
            for number, hook in enumerate(self.others)
            for name, value in hook.tensors().items()
        }
        save_checkpoint(
            self.folder / LAST,
            state.model,
            state.optimizer,
            _told(state),
            more | _placed(state),
            belongs=self.belongs,
            previous=self.folder / PREVIOUS,
        )
        self._written = time.monotonic()
        self._cost = self._written - began

    def bring_back(self, state: State) -> float:
        """Make the training what it was when the checkpoint was written; returns how many seconds it had taken."""
        kept, tensors = self._load(state)
        state.history[:] = kept["history"]
        state.notes[:], state.remarks[:] = kept["notes"], kept["remarks"]
        state.stopping, state.parts, state.setbacks = kept["stopping"], kept["parts"], kept["setbacks"]
        if state.scaling is not None:
            state.scaling.load_state_dict(kept["scaling"])
        for number, hook in enumerate(self.others):
            hook.restore(_below(f"{number}/", tensors))
        state.place = _place(kept["batches"], _below("place/", tensors), state.device)
        return float(kept["seconds"])

    def _load(self, state: State) -> tuple[Any, dict[str, Tensor]]:
        """What is in the last checkpoint or, where that cannot be used, in the one before it."""
        faults: list[CheckpointError] = []
        for path in filter(Path.exists, (self.folder / LAST, self.folder / PREVIOUS)):
            try:
                found = load_checkpoint(path, state.model, state.optimizer, belongs=self.belongs)
            except CheckpointError as error:
                faults.append(error)
                continue
            for fault in faults:
                logger.warning(f"The checkpoint {fault.path} {fault.fault}: the one before it, {path.name}, is used.")
            return found
        raise faults[0]


@dataclass
class Handed(Hook):
    """Tells the row of each epoch once a checkpoint of it is kept, for whoever goes on from there."""

    kept: Kept
    tell: Callable[[dict[str, Any]], None]

    def after_epoch(self, state: State) -> None:
        """Keep the epoch, whatever that costs, and tell it."""
        if state.first:
            self.kept.keep(state)
            self.tell(state.history[-1])


@dataclass
class SetBack(Hook):
    """Takes a training whose loss is no number back to its last checkpoint, with half the rate, three times at most.

    It comes after `kept` among the hooks of a loop. Where several processes train together it does nothing.
    """

    kept: Kept

    def begin(self, state: State) -> None:
        """See that there is something to go back to."""
        if not resumable(self.kept.folder):
            self.kept.keep(state)

    def diverged(self, state: State, error: Exception) -> bool:
        """Whether the training was taken back."""
        setbacks = state.setbacks + 1
        if not state.alone or setbacks > SETBACKS or not resumable(self.kept.folder):
            return False
        self.kept.bring_back(state)
        state.setbacks = setbacks
        epochs, batches = len(state.history), state.place.batches
        where = f"batch {batches} of epoch {epochs + 1}" if batches else f"epoch {epochs}" if epochs else "the start"
        state.say(
            f"{_fault(error)} Training went back to {where} and goes on at half the rate (setback {setbacks} of "
            f"{SETBACKS} at most)."
        )
        self.kept.keep(state)
        return True


def resumable(folder: Path | None) -> bool:
    """Whether a training was broken off here that can go on."""
    return folder is not None and any((folder / name).exists() for name in (LAST, PREVIOUS))


def _fault(error: Exception) -> str:
    """What happened, without how to mend it."""
    sentence = str(error).partition(":")[0]
    return f"{sentence[:1].upper()}{sentence[1:]}."


def _is_sound(state: State) -> bool:
    """Whether weights and losses are numbers."""
    losses = state.place.losses
    parts = [*state.model.parameters(), *([torch.stack(losses)] if losses else [])]
    return all(bool(torch.isfinite(part).all()) for part in parts)


def _told(state: State) -> dict[str, Any]:
    """What is no tensor, as JSON types."""
    return {
        "history": state.history,
        "stopping": state.stopping,
        "parts": state.parts,
        "setbacks": state.setbacks,
        "notes": state.notes,
        "remarks": state.remarks,
        "seconds": state.seconds,
        "batches": state.place.batches,
        "scaling": {} if state.scaling is None else state.scaling.state_dict(),
    }


def _placed(state: State) -> dict[str, Tensor]:
    """Where in an epoch the training is, and what is random there; nothing between epochs, which are seeded anew."""
    place = state.place
    if not place.batches:
        return {}
    drawn = place.drawn or _drawn(state)
    figures = {f"figures/{name}": torch.stack([step[name] for step in place.figures]) for name in place.figures[0]}
    random = {f"drawn/{name}": value for name, value in drawn.items()}
    found = {"losses": torch.stack(place.losses), **figures, **random}
    return {f"place/{name}": value for name, value in found.items()}


def _drawn(state: State) -> dict[str, Tensor]:
    """The states of what is random, as it now is."""
    drawn, source = {"global": torch.get_rng_state()}, state.source
    if state.device.type == "cuda":
        drawn["cuda"] = torch.cuda.get_rng_state(state.device)
    if source is not None and source.generator is not None:
        drawn["source"] = source.generator.get_state()
    return drawn


def _place(batches: int, tensors: Mapping[str, Tensor], device: torch.device) -> Place:
    if not batches:
        return Place()
    losses = list(tensors["losses"].to(device).unbind())
    figures = {name: value.to(device) for name, value in _below("figures/", tensors).items()}
    steps = [{name: value[step] for name, value in figures.items()} for step in range(len(losses))]
    return Place(batches, losses, steps, _below("drawn/", tensors))


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
