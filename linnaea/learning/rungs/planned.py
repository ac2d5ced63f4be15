"""The plan that a rung trains by, kept beside its checkpoints: a resumed training goes on in the same formats."""

from linnaea.learning.job import Job
from linnaea.learning.objectives.supervised import Supervised
from linnaea.learning.planning import Wanted, measure_training
from linnaea.models.model import Model
from linnaea.runtime.files import read_json, write_json
from linnaea.runtime.plan import Plan


def plan_training(job: Job, model: Model, batch_size: int, epochs: int) -> Plan:
    """The plan that was kept, or one that is measured now; its batch size is the one to train with."""
    kept = job.checkpoints / "plan.json" if job.checkpoints else None
    if kept is not None and kept.exists():
        return Plan.from_json(read_json(kept) | {"device": job.options.device})
    plan = measure_training(
        model,
        job.train,
        Supervised(job.criterion, job.balance),
        batch_size,
        images=epochs * len(job.train),
        given=job.options.batch_size is not None,
        wanted=Wanted(
            device=job.options.device,
            precision=job.options.precision,
            memory_format=job.options.memory_format,
            seconds=job.measuring_seconds,
        ),
    )
    if kept is not None:
        write_json(kept, plan.to_json())
    return plan
