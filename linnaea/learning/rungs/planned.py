"""The plan that a rung trains by, kept beside its checkpoints: a resumed training goes on in the same formats."""

from dataclasses import replace

from linnaea.learning.job import Job
from linnaea.learning.objectives.supervised import Supervised
from linnaea.learning.planning import Wanted, measure_training
from linnaea.models.model import Model
from linnaea.runtime.files import read_json, write_json
from linnaea.runtime.plan import Plan

FEWEST_STEPS = 20  # of an epoch, where batches may grow
LARGEST = 4_096  # images in a batch that was not asked for


def plan_training(job: Job, model: Model, usual: int, epochs: int) -> Plan:
    """The plan that was kept, or one that is measured now; its batch size is the one to train with.

    That is what was asked for, else the `usual` one, but never more than there are images; for "auto" it grows from the
    usual one while training gets faster.
    """
    kept = job.checkpoints / "plan.json" if job.checkpoints else None
    if kept is not None and kept.exists():
        return Plan.from_json(read_json(kept) | {"device": job.options.device})
    asked, there = job.options.batch_size, len(job.train)
    wanted = asked if isinstance(asked, int) else usual
    most = max(usual, min(LARGEST, there // (FEWEST_STEPS * job.options.recipe.batches_per_step)))
    plan = measure_training(
        model,
        job.train,
        Supervised(job.criterion, job.balance),
        min(wanted, there),
        images=epochs * there,
        given=isinstance(asked, int),
        most=most if asked == "auto" else None,
        wanted=Wanted(
            device=job.options.device,
            precision=job.options.precision,
            memory_format=job.options.memory_format,
            seconds=job.measuring_seconds,
        ),
    )
    if isinstance(asked, int) and asked > there:
        few = f"Batches of {there} images instead of {asked}: there are no more training images."
        plan = replace(plan, notes=(few, *plan.notes))
    if kept is not None:
        write_json(kept, plan.to_json())
    return plan
