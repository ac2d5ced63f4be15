"""A training from labels: the loop with the job's images, its loss, and the weights that are best on val."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from linnaea.errors import UsageError
from linnaea.learning.averaging import Averaged
from linnaea.learning.batches.choosing import batches_for
from linnaea.learning.feeding import Fed
from linnaea.learning.hooks import Hook, State, Told
from linnaea.learning.job import Job
from linnaea.learning.judging import Judge, Judged
from linnaea.learning.keeping import Handed, Kept, SetBack
from linnaea.learning.loop import Loop
from linnaea.learning.normalisation import IMAGES, Estimated
from linnaea.learning.objectives import Objective
from linnaea.learning.objectives.choosing import notes_on, objective_for
from linnaea.learning.objectives.company import Build, company_of, join
from linnaea.learning.objectives.contract import Accompanied
from linnaea.learning.processes import shared, strategy, together
from linnaea.learning.processes.fabrics import fabric_for
from linnaea.learning.schedule import Schedule
from linnaea.learning.soup import Soup
from linnaea.models.model import Model
from linnaea.runtime.machine import prepare_processor
from linnaea.runtime.plan import Plan

SEEN = 500  # training images at the most that a network is judged on as they are, after each epoch


@dataclass(frozen=True)
class Trained:
    """How a training went: a row per epoch, and the number of the epoch whose weights were kept.

    `kept` is 0 where no epoch beat the weights it came with; `loss` is that of the kept weights on val and `start` that
    of the first ones, both at their best temperature. `notes` are sentences on what happened: setbacks, memory, soups.
    """

    history: list[dict[str, Any]]
    kept: int
    loss: float
    start: float
    notes: tuple[str, ...] = ()


@dataclass
class _Ended(Hook):
    """Remembers what happened to a training."""

    notes: tuple[str, ...] = ()

    def end(self, state: State) -> None:
        """What was said of it."""
        self.notes = tuple(state.notes)


@together
def train_network(
    job: Job,
    model: Model,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    plan: Plan,
    *,
    augmentations: Sequence[str] = (),
    label_smoothing: float = 0.0,
    hooks: Sequence[Hook] = (),
    build: Build | None = None,
) -> Trained:
    """Train `model` in place on the job's images, leave in it its best weights, and return how it went.

    The best weights are those of the epoch with the lowest loss on val at its best temperature, or those it came with
    when no epoch beats them. Training resumed from the job's checkpoints goes on exactly as it would have. `hooks` are
    further ones, which see what was brought back. What the objective trains beside the model joins the optimizer, in
    groups as `build` makes them (None: as its defaults are). Raises DivergedError when the loss becomes infinite or
    NaN, and going back was not asked for or did not help.
    """
    recipe = job.options.recipe
    average = recipe.averaging(optimizer)
    objective, changing = objective_for(
        job, model, augmentations=augmentations, label_smoothing=label_smoothing, epochs=schedule.epochs
    )
    join(optimizer, objective, build, schedule.learning_rate, plan.layout)
    company = [*company_of(objective), *job.balance.hooks]
    judge = Judge(
        job.val, job.criterion, schedule.batch_size, plan, job.balance.on_val(job.val.targets, job.val.groups)
    )
    some = job.subset(min(len(job.val), SEEN))
    seen = replace(judge, examples=some, weights=job.balance.on_val(some.targets, some.groups))
    judged = Judged(judge, job.task.metric, schedule.patience, job.checkpoints, average, seen)
    soups = [Soup(judged, recipe.soup)] if recipe.soup else []
    others = [*([average] if isinstance(average, Averaged) else []), judged, *soups, *job.hooks, *company]
    estimated = _estimated(job, schedule, plan)
    ended = _Ended()
    with _keeping(job, others, optimizer) as kept:
        first = [Told(job.on_epoch), *estimated, *([average] if average else []), *soups, *job.hooks, judged]
        ordered = [*first, *company, *kept, *hooks, ended]
        loop = loop_for(job, objective, schedule, plan, augmentations=changing, hooks=ordered)
        if job.on_fed is not None:
            shown, plain = job.on_fed, job.balance.plain
            fed = Fed(loop.batches, loop.objective, loop.seed, lambda images, targets: shown(images, plain(targets)))
            loop = replace(loop, hooks=[*loop.hooks, fed])
        history = loop.run(model.to(memory_format=plan.layout), optimizer)
    notes = (*notes_on(recipe, augmentations), *loop.batches.notes, *ended.notes)
    return Trained(history, judged.best["epoch"], judged.best["loss"], judged.best["start"], notes)


def _estimated(job: Job, schedule: Schedule, plan: Plan) -> list[Hook]:
    """The hook that lets batch normalisation know the weights it normalises for; not where weights are in parts."""
    if shared().several and strategy() == "fsdp":
        return []
    steps = math.ceil(len(job.train) / (schedule.batch_size * job.options.recipe.batches_per_step))
    return [Estimated(job.subset(IMAGES), schedule.batch_size, plan, steps, job.options.seed)]


@contextmanager
def _keeping(job: Job, others: Sequence[Hook], optimizer: torch.optim.Optimizer) -> Iterator[list[Hook]]:
    """The hooks that keep the training, meanwhile in a folder that goes again where it is only for going back."""
    back = job.options.recipe.on_nan == "rollback"
    if job.checkpoints is None and not back:
        yield []
        return
    with TemporaryDirectory() as place:
        folder = job.checkpoints or Path(place)
        kept = Kept(folder, others, _identity(job, optimizer), job.options.checkpoint_every, told=job.on_kept is None)
        handed = [Handed(kept, job.on_kept)] if job.on_kept is not None else []
        yield [kept, *handed, *([SetBack(kept)] if back else [])]


def _identity(job: Job, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """What a checkpoint must agree with: images in their order, labels, seed and optimizer."""
    told = hashlib.sha256("\n".join(job.ids).encode())
    for part in (job.train, job.val):
        told.update(str(part.images.shape).encode() + part.targets.tobytes())
    return {"data": told.hexdigest()[:16], "seed": job.options.seed, "optimizer": type(optimizer).__name__}


def loop_for(
    job: Job,
    objective: Objective,
    schedule: Schedule,
    plan: Plan,
    *,
    augmentations: Sequence[str] = (),
    hooks: Sequence[Hook] = (),
) -> Loop:
    """A loop over the job's images that makes an objective small; `augmentations` change images alone."""
    prepare_processor()
    if shared().several and strategy() == "fsdp" and isinstance(objective, Accompanied):
        raise UsageError(
            "--strategy fsdp shares the network alone, and the objective trains more than that: use --strategy ddp."
        )
    recipe = job.options.recipe
    batches = batches_for(job, schedule.batch_size, tuple(augmentations), plan.layout)
    return Loop(
        fabric_for(plan, steady=recipe.unfreeze in (None, "all")),
        batches,
        objective,
        schedule,
        hooks,
        job.options.seed,
        accumulate=recipe.batches_per_step,
        clip_norm=recipe.clip_norm,
    )
