"""What rungs that train a network take from a recipe: rate, optimizer, dropout, unfreezing."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from linnaea.errors import UsageError
from linnaea.learning.hooks import Hook
from linnaea.learning.job import Job
from linnaea.learning.loop import Loop
from linnaea.learning.objectives.choosing import objective_for
from linnaea.learning.objectives.company import Build, join
from linnaea.learning.processes import together
from linnaea.learning.rate_range import RateRange, find_rate
from linnaea.learning.recipe import TrainingRecipe
from linnaea.learning.schedule import Schedule
from linnaea.learning.supervised import loop_for
from linnaea.learning.unfreezing import Unfreezing
from linnaea.models.bodies import create_body
from linnaea.models.model import Model
from linnaea.runtime.plan import Plan

Hooks = Sequence[Hook]
logger = logging.getLogger("linnaea")


def settle_rate(
    job: Job,
    model: Model,
    build: Build,
    usual: float,
    plan: Plan,
    *,
    augmentations: Sequence[str] = (),
    label_smoothing: float = 0.0,
) -> tuple[float, list[str]]:
    """The rate that was asked for, else one found by a range test where that was asked for, else the usual one.

    Also notes on it. `build` makes an optimizer of a model and a rate.
    """
    given = job.options.learning_rate
    if not job.options.recipe.find_lr:
        return given or usual, []
    changes: Any = {"augmentations": augmentations, "label_smoothing": label_smoothing}
    found = range_test(job, model, build, usual, plan, **changes)
    logger.info(str(found))
    return given or found.suggested, [str(found), *([f"The rate is {given:.2g}, as requested."] if given else [])]


@together
def range_test(job: Job, model: Model, build: Build, usual: float, plan: Plan, **changes: Any) -> RateRange:
    """A range test around the usual rate; `changes` are those of images and labels."""
    assert plan.batch_size is not None, "a plan of a training has one"

    def make_loop(some: Job, copy: Model, optimizer: torch.optim.Optimizer, schedule: Schedule, hooks: Hooks) -> Loop:
        objective, changing = objective_for(some, copy, epochs=schedule.epochs, **changes)
        join(optimizer, objective, build, schedule.learning_rate, plan.layout)
        hooks = [*hooks, *unfreezing(some, copy, schedule.epochs)]
        return loop_for(some, objective, schedule, plan, augmentations=changing, hooks=hooks)

    return find_rate(job, model, build, usual, plan.batch_size, make_loop)


def dropped(recipe: TrainingRecipe, network: str, size: int) -> dict[str, float]:
    """The arguments of a timm network for the dropout and the stochastic depth that were asked for.

    Raises UsageError for a network that has no use for them.
    """
    wanted = {
        argument: share
        for argument, share in (("drop_rate", recipe.dropout), ("drop_path_rate", recipe.drop_path))
        if share is not None
    }
    if not wanted:
        return {}
    refused = f"{network} has no use for {' and '.join(recipe.given(('dropout', 'drop_path')))}: leave it out."
    try:
        body = create_body(network, size, wanted)
    except TypeError:
        raise UsageError(refused) from None
    if recipe.drop_path and not any(_drops_paths(part) for part in body.modules()):
        raise UsageError(f"{network} has no use for --drop-path: leave it out.")
    if recipe.dropout and getattr(body, "drop_rate", recipe.dropout) != recipe.dropout:
        raise UsageError(f"{network} has no use for --dropout: leave it out.")
    return wanted


def _drops_paths(part: nn.Module) -> bool:
    from timm.layers.drop import DropPath

    return isinstance(part, DropPath) and part.drop_prob > 0


def unfreezing(job: Job, model: Model, epochs: int) -> list[Hook]:
    """The hook that lets only some stages of a network learn, where that was asked for."""
    name = job.options.recipe.unfreeze
    return [] if name in (None, "all") else [Unfreezing(model, str(name), epochs)]
