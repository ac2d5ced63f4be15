"""The plan that a rung trains by, kept beside its checkpoints: a resumed training goes on in the same formats."""

import logging
import math
from dataclasses import replace

from linnaea.learning.job import Job
from linnaea.learning.objectives.supervised import Supervised
from linnaea.learning.planning import Wanted, measure_training
from linnaea.learning.processes import all_of_them
from linnaea.learning.processes.statistics import normalising
from linnaea.models.model import Model
from linnaea.runtime.files import read_json, write_json
from linnaea.runtime.plan import Plan

logger = logging.getLogger("linnaea")
FEWEST_STEPS = 20  # of an epoch, where batches may grow
LARGEST = 4_096  # images in a batch that was not asked for


def plan_training(job: Job, model: Model, usual: int, epochs: int) -> Plan:
    """The plan that was kept, or one that is measured now; its batch size is the one to train with.

    That is what was asked for, else the `usual` one, but never more than there are images; for "auto" it grows from the
    usual one while training gets faster.
    """
    kept = job.checkpoints / "plan.json" if job.checkpoints else None
    if kept is not None and kept.exists():
        return _shared(Plan.from_json(read_json(kept) | {"device": job.options.device}), model)
    asked, there = job.options.batch_size, len(job.train)
    wanted = asked if isinstance(asked, int) else usual
    most = max(usual, min(LARGEST, there // (FEWEST_STEPS * job.options.recipe.batches_per_step)))
    ranks, auto = all_of_them(), asked == "auto"  # what is measured is the part of a batch that one process has
    plan = measure_training(
        model,
        job.train,
        Supervised(job.criterion, job.balance),
        math.ceil(min(wanted, there) / ranks),
        images=epochs * there,
        given=isinstance(asked, int),
        most=math.ceil(most / ranks) if auto else None,
        wanted=Wanted(
            device=job.options.device,
            precision=job.options.precision,
            memory_format=job.options.memory_format,
            seconds=job.measuring_seconds,
        ),
    )
    if plan.batch_size is not None:
        plan = replace(plan, batch_size=min(most if auto else wanted, there, ranks * plan.batch_size))
    if isinstance(asked, int) and asked > there:
        few = f"Batches of {there} images instead of {asked}: there are no more training images."
        plan = replace(plan, notes=(few, *plan.notes))
    _say_of_batches(plan, asked)
    if kept is not None:
        write_json(kept, plan.to_json())
    return _shared(plan, model)


def _say_of_batches(plan: Plan, asked: int | str | None) -> None:
    """Say what became of a batch size that was asked for: chosen, where that was left to us, or not kept."""
    for note in plan.notes:
        if asked is not None and note.startswith("Batches of"):
            logger.log(logging.INFO if asked == "auto" else logging.WARNING, note)


def _shared(plan: Plan, model: Model) -> Plan:
    """The plan with notes on what several processes share."""
    ranks = all_of_them()
    if ranks == 1:
        return plan
    notes = [f"{ranks} processes shared each batch of {plan.batch_size} images."]
    if plan.device == "cpu" and normalising(model):
        notes.append(
            "Batch normalisation saw the part of a batch that each process has, not all of it: only on CUDA can it be "
            "shared. Its running statistics are the mean over processes."
        )
    return replace(plan, notes=(*plan.notes, *notes))
