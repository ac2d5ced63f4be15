"""The range test: a few steps at rates that rise until the loss no longer falls (Smith 2017)."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from linnaea.learning.hooks import Hook, State
from linnaea.learning.job import Job
from linnaea.learning.loop import DivergedError, Loop, rate_of
from linnaea.learning.processes import shared
from linnaea.learning.schedule import Schedule
from linnaea.models.model import Model
from linnaea.runtime.files import read_json, write_json

STEPS = 100
LOWEST, HIGHEST = 1e-4, 1e2  # times the usual rate
SMOOTHING = 0.9
NEAR = 0.05  # of the lowest loss: what still counts as lowest
BELOW = 10.0  # times below the highest rate that is still good
FILE, PICTURE = "rate_range.json", "rate_range.png"

Build = Callable[[Model, float], torch.optim.Optimizer]
MakeLoop = Callable[[Job, Model, torch.optim.Optimizer, Schedule, list[Hook]], Loop]


@dataclass(frozen=True)
class RateRange:
    """Rates and the loss of the batch at each, up to where it was no longer a number."""

    rates: list[float]
    losses: list[float]

    @property
    def smoothed(self) -> list[float]:
        """The losses averaged over the steps so far, older ones counting less, without a bias to the first."""
        found, mean = [], 0.0
        for step, loss in enumerate(self.losses, start=1):
            mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
            found.append(mean / (1 - SMOOTHING**step))
        return found

    @property
    def highest(self) -> float:
        """The highest rate up to which the smoothed loss is within a twentieth of its lowest."""
        smooth = self.smoothed
        lowest = smooth.index(min(smooth))
        most = smooth[lowest] * (1 + NEAR)
        risen = next((step for step in range(lowest, len(smooth)) if smooth[step] > most), len(smooth))
        return self.rates[risen - 1]

    @property
    def suggested(self) -> float:
        """A tenth of that."""
        return self.highest / BELOW

    def __str__(self) -> str:
        return (
            f"The range test suggests a learning rate of {self.suggested:.2g}, a tenth of {self.highest:.2g}, up to "
            f"which the loss was near its lowest; rates from {self.rates[0]:.2g} to {self.rates[-1]:.2g} were tried."
        )


@dataclass(frozen=True)
class Rising(Schedule):
    """A rate that rises by the same factor at every step."""

    def rate(self, progress: float, history: Any = ()) -> float:
        """From a ten-thousandth of the usual rate to a hundred times it."""
        return float(self.learning_rate * LOWEST * (HIGHEST / LOWEST) ** progress)


@dataclass
class Noted(Hook):
    """Notes the rate and the loss of each step."""

    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def after_step(self, state: State) -> None:
        """Note them."""
        assert state.loss is not None, "a step has a loss"
        self.rates.append(rate_of(state.optimizer))
        self.losses.append(float(state.loss))


def find_rate(job: Job, model: Model, build: Build, usual: float, batch_size: int, make_loop: MakeLoop) -> RateRange:
    """Train a copy of the model for about a hundred steps, or a twentieth of the time left, at rising rates.

    With a folder for checkpoints, figures and a plot are left there, and a test that was made before is taken again.
    """
    folder = job.checkpoints
    if folder is not None and (folder / FILE).exists():
        return RateRange(**read_json(folder / FILE))
    recipe = job.options.recipe
    together = batch_size * recipe.batches_per_step
    some = replace(job, train=job.subset(STEPS * together), ids=(), checkpoints=None)
    epochs = math.ceil(STEPS / math.ceil(len(some.train) / together))
    deadline = math.inf if math.isinf(job.deadline) else time.monotonic() + max(0.0, job.seconds_left / 20)
    copy, noted = deepcopy(model), Noted()
    optimizer = build(copy, usual)
    average = recipe.averaging(optimizer)
    hooks: list[Hook] = [*([average] if average else []), noted]
    with suppress(DivergedError):  # it is the end of the range
        schedule = Rising(epochs, batch_size, usual, deadline=deadline)
        make_loop(some, copy, optimizer, schedule, hooks).run(copy, optimizer)
    if not noted.losses:
        raise DivergedError(f"the loss is no number even at a learning rate of {usual * LOWEST:.2g}.")
    found = RateRange(noted.rates, noted.losses)
    if folder is not None and shared().first:
        folder.mkdir(parents=True, exist_ok=True)
        draw(found, folder / PICTURE)
        write_json(folder / FILE, asdict(found))
    return found


def draw(found: RateRange, path: Path) -> None:
    """Write a plot of the losses over the rates, with the suggestion, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.semilogx(found.rates, found.losses, color="0.8", label="loss of each batch")
    axes.semilogx(found.rates, found.smoothed, label="smoothed")
    axes.axvline(found.suggested, color="black", linestyle="--", label=f"suggested: {found.suggested:.2g}")
    start = found.smoothed[0]
    axes.set_ylim(0.0, max(2 * start, 1.2 * min(found.smoothed)))
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    axes.legend()
    figure.savefig(path, dpi=120)
