"""The training loop, from top to bottom."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from linnaea.errors import LinnaeaError
from linnaea.learning.batches import Batches, Epoch
from linnaea.learning.hooks import Hook, Place, State
from linnaea.learning.objectives import Objective
from linnaea.learning.objectives.company import accompany
from linnaea.learning.processes.setting_up import set_up
from linnaea.learning.schedule import Schedule
from linnaea.learning.stepping import Stepping
from linnaea.runtime.progress import Work, advancing
from linnaea.runtime.stopping import Stopping

MOST_NAMED = 8  # images of a batch


class DivergedError(LinnaeaError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Loop:
    """Makes an objective small on batches, by a schedule, on the device of a launched Fabric.

    Whatever is random in an epoch is seeded by `seed` and the epoch's number, so that a training resumed by a hook,
    between epochs or within one, goes on exactly as it would have. A step is taken by the mean gradient of `accumulate`
    batches, shortened to `clip_norm` where it is longer; where memory runs out, by more and smaller parts of them. The
    loop knows nothing of labels, nor of what a network is worth: hooks do.
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

        Time that hooks take after the last epoch is kept before the schedule's deadline. Ctrl-C and SIGTERM wait for
        the end of a step. Raises DivergedError when the loss becomes infinite or NaN and no hook can help, with the
        images of the batch.
        """
        with set_up(self.fabric, model, optimizer) as state:
            return self._run(state)

    def _run(self, state: State) -> list[dict[str, Any]]:
        """The epochs of a training that is set up."""
        self._begin(state)
        hooks = self.hooks
        schedule = replace(self.schedule, deadline=self.schedule.deadline - sum(hook.seconds for hook in hooks))
        with Stopping() if state.alone else nullcontext() as stopping, advancing("training") as work:
            while self._goes_on(state, schedule):
                try:
                    row = self._epoch(state, schedule, stopping, work)
                except DivergedError as error:
                    if not any(hook.diverged(state, error) for hook in hooks):
                        raise
                    state.spread()
                    continue
                if not row:
                    break
                self._after_epoch(state, schedule, row)
                self._look(state, stopping)
        for hook in hooks:
            hook.end(state)
        return state.history

    def _begin(self, state: State) -> None:
        """Begin, or go on where the training was broken off."""
        accompany(self.objective, self.fabric)
        for hook in self.hooks:
            hook.begin(state)
        state.spread()

    def _goes_on(self, state: State, schedule: Schedule) -> bool:
        """Whether there is another epoch, as the first of several processes sees it."""
        more = len(state.history) < schedule.epochs and not state.stopping and not schedule.is_over(state.history)
        return self.fabric.broadcast(more)

    def _epoch(self, state: State, schedule: Schedule, stopping: Stopping | None, work: Work) -> dict[str, Any]:
        """The steps of one epoch, or those left of it; the means over all, nothing where there was no time for one."""
        epoch, place = len(state.history), state.place
        source = self._source(epoch, state)
        steps, done = math.ceil(source.steps / self.accumulate), place.batches // self.accumulate
        stepping = Stepping(self.fabric, self.objective, self.clip_norm)
        state.network.train()
        for step, group in enumerate(_grouped(self._batches(state), self.accumulate), done):
            shares = [epoch + min(1.0, (step + part) / steps) for part in (0, 0.5)]  # its start, its middle
            progress = [schedule.progress(share, state.began) for share in shares]
            progress = self.fabric.broadcast(progress)  # time differs
            if progress[0] >= 1:
                break
            set_rate(state.optimizer, self._rate(state, schedule, min(1.0, progress[1])))
            for loss, figures in stepping.gradients(state, group):
                place.losses.append(loss)
                place.figures.append(figures)
            if self.fabric.device.type == "cpu":  # elsewhere each look would make the processor wait
                self._require_numbers(place.losses[-len(group) :], len(place.losses) - len(group), epoch, source)
            stepping.clip(state)
            state.optimizer.step()
            state.loss, place.batches = place.losses[-1], place.batches + len(group)
            state.progress = schedule.progress(epoch + (step + 1) / steps, state.began)
            for hook in self.hooks:
                hook.after_step(state)
            self._look(state, stopping)
            where = f"epoch {epoch + 1} of at most {schedule.epochs}, step {step + 1} of {steps}"
            work.tell(state.progress, partial(_told, where, state))
        if not place.losses:
            return {}
        self._require_numbers(place.losses, 0, epoch, source)
        return {"train_loss": self._mean(place.losses), **self._means(place.figures)}

    def _source(self, epoch: int, state: State) -> Epoch:
        """Where the batches of an epoch come from; seeds what is random in it."""
        epoch_seed = self.seed + 1_000_003 * epoch
        torch.manual_seed(epoch_seed)
        state.source = self.batches.epoch(epoch_seed, self.fabric.global_rank, self.fabric.world_size)
        return state.source

    def _batches(self, state: State) -> Iterator[Any]:
        """The batches that are left of the epoch, as they would have come."""
        source, place = state.source, state.place
        assert source is not None, "an epoch has begun"
        if not place.batches:
            return source.batches
        batches = source.after(place.batches, place.drawn.get("source"))
        torch.set_rng_state(place.drawn["global"])
        if "cuda" in place.drawn and state.device.type == "cuda":
            torch.cuda.set_rng_state(place.drawn["cuda"], state.device)
        place.drawn = {}
        return batches

    def _after_epoch(self, state: State, schedule: Schedule, row: dict[str, Any]) -> None:
        """Judge, write the row of the epoch, and let hooks do what is theirs."""
        state.gather()
        for hook in self.hooks:
            row |= hook.figures(state)
        epoch, seconds = len(state.history) + 1, round(state.seconds, 3)
        rate = self._rate(state, schedule, schedule.progress(epoch, state.began))
        note = {"note": " ".join(state.remarks)} if state.remarks else {}
        row = {"epoch": epoch, "seconds": seconds, "learning_rate": rate, **row, **note}
        state.history.append(self.fabric.broadcast(row))
        state.place, state.remarks = Place(), []
        for hook in self.hooks:
            hook.after_epoch(state)

    def _rate(self, state: State, schedule: Schedule, progress: float) -> float:
        """What the schedule says, halved at each setback."""
        return schedule.rate(progress, state.history) * 0.5**state.setbacks

    def _look(self, state: State, stopping: Stopping | None) -> None:
        """End here, all of it kept, where that was asked for."""
        if stopping is not None and stopping.asked:
            for hook in self.hooks:
                hook.stopped(state)
            stopping.leave()

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
    return f"{where}, loss {state.loss.item():.3f}, rate {rate_of(state.optimizer):.2g}"


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


def rate_of(optimizer: torch.optim.Optimizer) -> float:
    """The rate that was set, without the `rate_scale` of any group."""
    group = optimizer.param_groups[0]
    return float(group["lr"] / group.get("rate_scale", 1.0))
