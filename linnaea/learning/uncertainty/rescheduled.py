"""A training by a schedule that belongs to the method."""

from collections.abc import Sequence
from dataclasses import replace

from linnaea.learning.job import Fitted, Job

SETS = ("schedule", "warmup", "patience", "ema", "soup", "lora")
ENDLESS = 10**6  # epochs: no training is that long
INSTEAD = (
    "No epoch alone had a lower loss on val than the weights that the training started from. The members are those of "
    "the training all the same: a smaller --lr or more --epochs may help."
)


def rescheduled(job: Job, schedule: str) -> Job:
    """The job by this schedule, which is followed to its end."""
    recipe = replace(job.options.recipe, schedule=schedule, patience=ENDLESS)
    return replace(job, options=replace(job.options, recipe=recipe))


def without_stale_warnings(fitted: Fitted) -> Fitted:
    """What came of it, where warnings tell of weights that are not used: those of the best epoch."""
    told: Sequence[str] = [INSTEAD] if fitted.warnings else []
    return replace(fitted, warnings=told)
