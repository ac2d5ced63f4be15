"""The training loop, from top to bottom."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from linnaea.errors import LinnaeaError
from linnaea.learning.batches import Batches
from linnaea.learning.hooks import Hook, State
from linnaea.learning.objectives import Objective
from linnaea.learning.schedule import Schedule
from linnaea.runtime.progress import track


class DivergedError(LinnaeaError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Loop:
    """Makes an objective small on batches, by a schedule, on the device of a launched Fabric.

    Whatever is random in an epoch is seeded by `seed` and the epoch's number, so that a training resumed by a hook goes
    on exactly as it would have. The loop knows nothing of labels, nor of what a network is worth: hooks do.
    """

    fabric: Fabric
    batches: Batches
    objective: Objective
    schedule: Schedule
    hooks: Sequence[Hook] = ()
    seed: int = 0

    def run(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
        """Train `model` in place and return a row per epoch.

        Time that hooks take after the last epoch is kept before the schedule's deadline. Raises DivergedError when the
        loss becomes infinite or NaN.
        """
        began = time.monotonic()
        fabric, hooks = self.fabric, self.hooks
        network, optimizer = fabric.setup(model, optimizer)
        state = State(model, network, optimizer, first=fabric.is_global_zero)
        for hook in hooks:
            hook.begin(state)
        began -= state.seconds
        schedule = replace(self.schedule, deadline=self.schedule.deadline - sum(hook.seconds for hook in hooks))
        for epoch in range(len(state.history), schedule.epochs):
            if state.stopping or schedule.is_over(state.history):
                break
            epoch_seed = self.seed + 1_000_003 * epoch
            torch.manual_seed(epoch_seed)
            steps, batches = self.batches.epoch(epoch_seed, fabric.global_rank, fabric.world_size)
            network.train()
            losses, seen = [], []
            for step, batch in enumerate(track(batches, f"epoch {epoch + 1} of at most {schedule.epochs}", steps)):
                shares = [epoch + min(1.0, (step + part) / steps) for part in (0, 0.5)]  # its start, its middle
                progress = fabric.broadcast([schedule.progress(share, began) for share in shares])  # time differs
                if progress[0] >= 1:
                    break
                set_rate(optimizer, schedule.rate(min(1.0, progress[1])))
                loss, figures = self.objective(network, fabric.to_device(batch))
                optimizer.zero_grad()
                fabric.backward(loss)
                optimizer.step()
                for hook in hooks:
                    hook.after_step(state)
                losses.append(loss.detach())
                seen.append({name: value.detach() for name, value in figures.items()})
            if not losses:
                break
            row = {"train_loss": self._mean_loss(losses, epoch), **self._means(seen)}
            for hook in hooks:
                row |= hook.figures(state)
            rate, seconds = schedule.rate(schedule.progress(epoch + 1, began)), round(time.monotonic() - began, 3)
            state.history.append({"epoch": epoch + 1, "seconds": seconds, "learning_rate": rate, **row})
            for hook in hooks:
                hook.after_epoch(state)
        for hook in hooks:
            hook.end(state)
        return state.history

    def _mean_loss(self, losses: Sequence[Tensor], epoch: int) -> float:
        mean = self._mean(losses)
        if not math.isfinite(mean):
            full = self.fabric.strategy.precision.precision == "32-true"
            raise DivergedError(
                f"the training loss became {mean} in epoch {epoch + 1}: expected a number; use a smaller --lr"
                f"{'' if full else ' or --precision float32'}."
            )
        return mean

    def _means(self, seen: Sequence[dict[str, Tensor]]) -> dict[str, float]:
        """The means of the objective's figures over the steps of an epoch, as columns of its row."""
        return {f"train_{name}": self._mean([step[name] for step in seen]) for name in seen[0]}

    def _mean(self, values: Sequence[Tensor]) -> float:
        """The mean over steps and processes."""
        mean = self.fabric.all_reduce(torch.stack(list(values)).mean(), reduce_op="mean")
        assert isinstance(mean, Tensor), "a tensor of a tensor"
        return mean.item()


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let the optimizer's groups learn at this rate, each times its own `rate_scale`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("rate_scale", 1.0)
