"""One trial of a search: a step attempted with the values that it is given, and its loss on val."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from linnaea.errors import UsageError
from linnaea.evidence import figure_of
from linnaea.experiments.attempt import Attempted, Material, attempt
from linnaea.experiments.search.book import CUT, FAILED, FINISHED, OVER_FOLDS, PRUNED, Book
from linnaea.experiments.search.space import Space, Value
from linnaea.finding import Estimate
from linnaea.learning.losses import criterion_for
from linnaea.learning.rungs import Job, Options, Step, with_pictures
from linnaea.learning.temperature import best_factor
from linnaea.options import Learning
from linnaea.predictions import Predictions
from linnaea.task import TASKS
from linnaea.taxonomy import Taxonomy

if TYPE_CHECKING:
    from optuna.trial import Trial

TENTHS = 10  # of a training, by which trials of different length are compared
INCOMPARABLE = ("balance", "loss", "objective", "teacher")  # losses of epochs are weighted by them


class Ended(Exception):  # noqa: N818  nothing went wrong
    """A trial is broken off: `status` says why."""

    def __init__(self, status: str, note: str) -> None:
        super().__init__(note)
        self.status = status


@dataclass(frozen=True)
class Way:
    """How a trial learns: its step, and what that is told."""

    step: Step
    options: Options


@dataclass(frozen=True)
class Field:
    """Where trials are made: images, options that are the same for all, and a place for what they leave.

    `ways` makes a way to learn of options. `materials` are those that each trial is judged on: one, or several folds.
    `remembered` is shared by all trials: what does not depend on what is searched.
    """

    space: Space
    learning: Learning
    ways: Callable[[Learning], Way]
    material: Material
    place: Path
    folds: tuple[Material, ...] = ()
    remembered: dict[int, Job] = field(default_factory=dict)

    def folder_of(self, number: int) -> Path:
        """Where a trial keeps its checkpoints."""
        return self.place / f"trial-{number:04}"

    def way(self, values: Mapping[str, Value]) -> Way:
        """How a trial with these values learns; raises UsageError where they do not go together."""
        return self.ways(self.space.applied(self.learning, values))

    def job(self, way: Way, material: Material) -> Job:
        """What its step is given: without a deadline, as schedules would stretch to it."""
        job = material.job(way.options, math.inf)
        known = self.remembered.setdefault(id(material), job)
        features = known.features if "balance" not in self.space.names else {}  # a balancer may make images
        own = replace(job, features=features, trials=known.trials)
        return with_pictures(own) if way.options.balance is not None else own

    def attempted(self, number: int, values: Mapping[str, Value]) -> Attempted:
        """The attempt of a trial that finished, taken from its folder, or made again where that is gone."""
        way = self.way(values)
        return attempt(way.step, self.material, self.job(way, self.material), self.folder_of(number))


def tried(where: Field, book: Book, trial: "Trial", until: float) -> None:
    """Attempt a trial, and write down how it ended; after `until` it is cut off at the end of an epoch."""
    started = time.perf_counter()
    watch = Watch(trial, until, epochs=None, judged=not set(INCOMPARABLE) & set(where.space.names))
    try:
        values = where.space.suggested(trial)
        way = where.way(values)
        watch = replace(watch, epochs=way.options.epochs)
        found = list(_judged(where, way, trial.number, watch))
    except Ended as ended:
        _end(book, trial, ended.status, watch, started, note=str(ended))
    except UsageError as error:
        _end(book, trial, FAILED, watch, started, note=str(error))
    else:
        loss, figure = float(np.mean([one for one, _ in found])), _mean([one for _, one in found])
        _end(book, trial, FINISHED, watch, started, loss=loss, figure=asdict(figure))


def _judged(where: Field, way: Way, number: int, watch: "Watch") -> Iterator[tuple[float, Estimate]]:
    """The loss and the figure of each part that a trial is judged on."""
    if not where.folds:
        yield outcome_of(
            attempt(way.step, where.material, where.job(way, where.material), where.folder_of(number), watch)
        )
        return
    losses: list[float] = []
    for place, material in enumerate(where.folds, 1):
        within = replace(watch, judged=False, history=watch.history if place == 1 else [])
        loss, figure = outcome_of(attempt(way.step, material, where.job(way, material), None, within))
        losses.append(loss)
        yield loss, figure
        if place < len(where.folds):
            watch.compare(float(np.mean(losses)), place)


def outcome_of(done: Attempted) -> tuple[float, Estimate]:
    """The loss and the figure of an attempt on val; raises Ended where it did not finish."""
    if done.status != FINISHED:
        raise Ended(FAILED, done.note)
    assert done.predictions is not None, "it finished"
    loss = loss_of(done.predictions, bool(done.finished.policy.parents))
    if not math.isfinite(loss):
        raise Ended(FAILED, f"its loss on val is {loss}")
    return loss, figure_of(done.predictions)


def loss_of(predictions: Predictions, in_tree: bool = False) -> float:
    """The usual loss of the task on val at its best temperature: what is known, whatever confidence it is said with.

    It is the same for all trials, whatever loss they learn by, and tells apart what counts of right answers do not.
    """
    tree: Taxonomy | None = predictions.tree if in_tree else None
    criterion = criterion_for(TASKS[predictions.task], None, tree)
    targets: Any = predictions.targets
    scores = torch.from_numpy(predictions.scores("raw_scores"))
    return best_factor(criterion.judge.losses, scores, torch.from_numpy(targets))[1]


def _mean(figures: list[Estimate]) -> Estimate:
    if len(figures) == 1:
        return figures[0]
    values = [figure.value for figure in figures if figure.value is not None]
    return Estimate(float(np.mean(values)) if values else None, None, None, sum(one.n for one in figures), OVER_FOLDS)


def _end(book: Book, trial: "Trial", status: str, watch: "Watch", started: float, **told: Any) -> None:
    history = watch.history
    loss = told.pop("loss", None)
    if loss is None and status == PRUNED and history:
        loss = min(row["val_loss_calibrated"] for row in history)
    seconds = round(time.perf_counter() - started, 2)
    book.end(trial, status, loss, seconds=seconds, history=history, **told)


@dataclass(frozen=True)
class Watch:
    """Sees each epoch of a trial: breaks it off where it is poor among the others, or where the budget is over.

    Trainings of so many `epochs` (None: all the same number) are compared by tenths of them. `judged` says whether
    the losses of their epochs can be compared at all.
    """

    trial: "Trial"
    until: float
    epochs: int | None
    judged: bool = True
    history: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, row: Mapping[str, Any]) -> None:
        """Look at the row of an epoch."""
        self.history[:] = [old for old in self.history if old["epoch"] < row["epoch"]]
        self.history.append(dict(row))
        if time.monotonic() > self.until:
            raise Ended(CUT, f"the budget was over in epoch {row['epoch']}")
        if not self.judged:
            return
        reached = self._reached(int(row["epoch"]))
        for step, loss in reached.items():
            self._report(loss, step)
        last = self.epochs is not None and row["epoch"] >= self.epochs
        if reached and not last and self.trial.should_prune():
            raise Ended(PRUNED, f"poor after epoch {row['epoch']}")

    def compare(self, loss: float, step: int) -> None:
        """Break the trial off where its loss up to a step is poor among the others."""
        self._report(loss, step)
        if self.trial.should_prune():
            raise Ended(PRUNED, f"poor after fold {step}")

    def _reached(self, epoch: int) -> dict[int, float]:
        """The lowest loss up to each tenth of the training that this epoch has completed.

        A tenth that ends within the epoch has what was known before it. Where the number of epochs is the same for all,
        they stand in place of tenths.
        """
        losses = [one["val_loss_calibrated"] for one in self.history]
        if self.epochs is None:
            return {epoch: min(losses)}
        first, last = ((one * TENTHS) // self.epochs for one in (epoch - 1, epoch))
        known = {
            step: losses if step * self.epochs == epoch * TENTHS else losses[:-1] for step in range(first + 1, last + 1)
        }
        return {step: min(some) for step, some in known.items() if some}

    def _report(self, loss: float, step: int) -> None:
        known = self.trial.study.get_trials(deepcopy=False)[self.trial.number].intermediate_values
        if step not in known:  # a trial that goes on has told it already
            self.trial.report(loss, step)
