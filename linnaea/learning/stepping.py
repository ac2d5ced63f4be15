"""A step of a training: the mean gradient of its batches, in as many parts as there is memory for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from linnaea.learning.hooks import State
from linnaea.learning.memory import ShortageError, images_in, in_parts, more_parts
from linnaea.learning.objectives import Objective
from linnaea.learning.processes.sharing import weighed
from linnaea.runtime.plan.memory import is_shortage, release

Seen = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True)
class Stepping:
    """Makes gradients of an objective, and shortens them to `clip_norm` where they are longer."""

    fabric: Fabric
    objective: Objective
    clip_norm: float | None = None

    def gradients(self, state: State, group: Sequence[Any]) -> list[Seen]:
        """Leave the mean gradient of the batches of a step, and return the loss and the figures of each.

        Where memory runs out, batches are taken in twice as many parts from then on, and the step is begun anew: it
        stays the same, but for what looks at a batch as a whole. Raises ShortageError where there are no smaller parts.
        """
        while True:
            drawn = _drawn(state)
            state.optimizer.zero_grad()
            try:
                return [self._one(state, batch, len(group)) for batch in group]
            except (RuntimeError, MemoryError) as error:
                if not is_shortage(error):
                    raise
                self._require_alone(state)
            state.optimizer.zero_grad()
            release()
            _draw_again(state, drawn)
            _halve(state, group)

    def _one(self, state: State, batch: Any, of: int) -> Seen:
        """Go forward and backward with one of so many batches of a step."""
        images, total, means = images_in(batch), torch.zeros(()), dict[str, Tensor]()
        for number, part in enumerate(in_parts(batch, state.parts)):
            share = images_in(part) / images if state.parts > 1 else 1.0
            answered = self.objective(state.network, self.fabric.to_device(part))
            loss, mean, told = weighed(self.fabric, images_in(part), *answered)
            loss = loss if share == 1 else loss * share
            self.fabric.backward(loss if of == 1 else loss / of)
            told = {name: value if share == 1 else value * share for name, value in told.items()}
            mean = mean if share == 1 else mean * share
            total = total + mean if number else mean
            means = {name: means[name] + value if number else value for name, value in told.items()}
        return total, means

    def clip(self, state: State) -> None:
        """Shorten the gradient where it is too long."""
        if self.clip_norm is not None:
            network: Any = state.network
            wrapped: Any = state.optimizer
            self.fabric.clip_gradients(network, wrapped, max_norm=self.clip_norm, error_if_nonfinite=False)

    def _require_alone(self, state: State) -> None:
        """Raise ShortageError where others take the same step: they would wait for this process in vain."""
        if not state.alone:
            raise ShortageError(
                "memory ran out in one of several processes: halve --batch-size and double --accumulate, which leaves "
                "each step as it is."
            )


def _halve(state: State, group: Sequence[Any]) -> None:
    smallest = min(group, key=images_in)
    state.parts = more_parts(smallest, state.parts)
    images = max(images_in(batch) for batch in group)
    each = -(-images // state.parts)
    state.say(
        f"Memory ran out with batches of {-(-2 * images // state.parts)} images: they are halved to {each}, and the "
        f"gradients of {state.parts * len(group)} are added, so that a step stays one of {images * len(group)} images. "
        "What looks at a batch as a whole, such as batch normalisation, sees the smaller ones."
    )


def _drawn(state: State) -> list[Tensor]:
    """The states of torch's random numbers."""
    cuda = [torch.cuda.get_rng_state(state.device)] if state.device.type == "cuda" else []
    return [torch.get_rng_state(), *cuda]


def _draw_again(state: State, drawn: Sequence[Tensor]) -> None:
    torch.set_rng_state(drawn[0])
    for own in drawn[1:]:
        torch.cuda.set_rng_state(own, state.device)
