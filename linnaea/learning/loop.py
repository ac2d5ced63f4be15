"""The training loop, from top to bottom."""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from linnaea.errors import LinnaeaError
from linnaea.learning.batches import Batches, Epoch
from linnaea.learning.hooks import Hook, State
from linnaea.learning.objectives import Objective
from linnaea.learning.schedule import Schedule
from linnaea.runtime.progress import Work, advancing

MOST_NAMED = 8  # images of a batch


class DivergedError(LinnaeaError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Loop:
    """Makes an objective small on batches, by a schedule, on the device of a launched Fabric.

    Whatever is random in an epoch is seeded by `seed` and the epoch's number, so that a training resumed by a hook goes
    on exactly as it would have. A step is taken by the mean gradient of `accumulate` batches, shortened to `clip_norm`
    where it is longer. The loop knows nothing of labels, nor of what a network is worth: hooks do.
    """

    fabric: Fabric
    batches: Batches
    objective: Objective
    schedule: Schedule
    hooks: Sequence[Hook] = ()
    seed: int = 0
    accumulate: int = 1
    clip_norm: float | None = None

    def run(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
        """Train `model` in place and return a row per epoch.

        Time that hooks take after the last epoch is kept before the schedule's deadline. Raises DivergedError when the
        loss becomes infinite or NaN, with the images of the batch.
        """
        began = time.monotonic()
        fabric, hooks = self.fabric, self.hooks
        network, optimizer = fabric.setup(model, optimizer)
        state = State(model, network, optimizer, first=fabric.is_global_zero)
        for hook in hooks:
            hook.begin(state)
        began -= state.seconds
        schedule = replace(self.schedule, deadline=self.schedule.deadline - sum(hook.seconds for hook in hooks))
        with advancing("training") as work:
            for epoch in range(len(state.history), schedule.epochs):
                if state.stopping or schedule.is_over(state.history):
                    break
                row = self._epoch(epoch, state, schedule, began, work)
                if not row:
                    break
                for hook in hooks:
                    row |= hook.figures(state)
                rate = schedule.rate(schedule.progress(epoch + 1, began), state.history)
                seconds = round(time.monotonic() - began, 3)
                state.history.append({"epoch": epoch + 1, "seconds": seconds, "learning_rate": rate, **row})
                for hook in hooks:
                    hook.after_epoch(state)
        for hook in hooks:
            hook.end(state)
        return state.history

    def _epoch(self, epoch: int, state: State, schedule: Schedule, began: float, work: Work) -> dict[str, Any]:
        """The steps of one epoch; the means over them, nothing where there was no time for a step."""
        epoch_seed = self.seed + 1_000_003 * epoch
        torch.manual_seed(epoch_seed)
        source = self.batches.epoch(epoch_seed, self.fabric.global_rank, self.fabric.world_size)
        steps = math.ceil(source.steps / self.accumulate)
        state.network.train()
        losses: list[Tensor] = []
        seen: list[dict[str, Tensor]] = []
        for step, group in enumerate(_grouped(source.batches, self.accumulate)):
            shares = [epoch + min(1.0, (step + part) / steps) for part in (0, 0.5)]  # its start, its middle
            progress = self.fabric.broadcast([schedule.progress(share, began) for share in shares])  # time differs
            if progress[0] >= 1:
                break
            set_rate(state.optimizer, schedule.rate(min(1.0, progress[1]), state.history))
            state.optimizer.zero_grad()
            for batch in group:
                loss, figures = self.objective(state.network, self.fabric.to_device(batch))
                losses.append(loss.detach())
                seen.append({name: value.detach() for name, value in figures.items()})
                if loss.device.type == "cpu":  # elsewhere each look would make the processor wait
                    self._require_numbers(losses[-1:], len(losses) - 1, epoch, source)
                self.fabric.backward(loss if len(group) == 1 else loss / len(group))
            self._clip(state)
            state.optimizer.step()
            state.loss = losses[-1]
            for hook in self.hooks:
                hook.after_step(state)
            where = f"epoch {epoch + 1} of at most {schedule.epochs}, step {step + 1} of {steps}"
            work.tell(schedule.progress(epoch + (step + 1) / steps, began), partial(_told, where, state))
        if not losses:
            return {}
        self._require_numbers(losses, 0, epoch, source)
        return {"train_loss": self._mean(losses), **self._means(seen)}

    def _clip(self, state: State) -> None:
        """Shorten the gradient where it is too long."""
        if self.clip_norm is not None:
            network: Any = state.network
            wrapped: Any = state.optimizer
            self.fabric.clip_gradients(network, wrapped, max_norm=self.clip_norm, error_if_nonfinite=False)

    def _require_numbers(self, losses: Sequence[Tensor], first: int, epoch: int, source: Epoch) -> None:
        """Raise DivergedError at the first loss that is no number; `first` is the batch of the first of them."""
        values = torch.stack(list(losses)).tolist()
        for batch, value in enumerate(values, start=first):
            if not math.isfinite(value):
                full = self.fabric.strategy.precision.precision == "32-true"
                raise DivergedError(
                    f"the training loss became {value} in epoch {epoch + 1}, batch {batch + 1}: expected a number; "
                    f"use a smaller --lr{'' if full else ' or --precision float32'}.{_listed(source.named(batch))}"
                )

    def _means(self, seen: Sequence[dict[str, Tensor]]) -> dict[str, float]:
        """The means of the objective's figures over the steps of an epoch, as columns of its row."""
        return {f"train_{name}": self._mean([step[name] for step in seen]) for name in seen[0]}

    def _mean(self, values: Sequence[Tensor]) -> float:
        """The mean over steps and processes."""
        mean = self.fabric.all_reduce(torch.stack(list(values)).mean(), reduce_op="mean")
        assert isinstance(mean, Tensor), "a tensor of a tensor"
        return mean.item()


def _told(where: str, state: State) -> str:
    """Where the training is, its loss and its rate."""
    assert state.loss is not None, "a step has a loss"
    group = state.optimizer.param_groups[0]
    rate = group["lr"] / group.get("rate_scale", 1.0)
    return f"{where}, loss {state.loss.item():.3f}, rate {rate:.2g}"


def _grouped(batches: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """The batches of each step."""
    left = iter(batches)
    while group := list(islice(left, size)):
        yield group


def _listed(images: Sequence[str]) -> str:
    """The images of a batch, in a sentence."""
    if not images:
        return ""
    more = f" and {len(images) - MOST_NAMED} more" if len(images) > MOST_NAMED else ""
    return f" If it does not help, look at the images of that batch: {', '.join(images[:MOST_NAMED])}{more}."


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let the optimizer's groups learn at this rate, each times its own `rate_scale`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("rate_scale", 1.0)
