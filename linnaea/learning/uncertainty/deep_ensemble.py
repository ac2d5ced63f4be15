"""Deep ensembles: the same training from several seeds."""

import logging
import time
from dataclasses import replace

import torch

from linnaea.errors import UsageError
from linnaea.learning.job import Fitted, Job, untold
from linnaea.learning.uncertainty.contract import UNCERTAINTIES, Fit, Method
from linnaea.learning.uncertainty.making import with_ensemble
from linnaea.models.embedding import embed
from linnaea.models.model import Model
from linnaea.runtime.progress import working

COMPARED = 16  # images
logger = logging.getLogger("linnaea")


def fit_deep_ensemble(fit: Fit, job: Job, members: int) -> Fitted:
    """The rung fitted with seeds counted up from the job's, each in an equal share of the time that is left."""
    done: list[Fitted] = []
    for number in range(members):
        with working(f"member {number + 1} of {members}"):
            done.append(fit(_job_of(job, number, members)))
        if number:
            logger.info(f"Member {number + 1} of {members} is trained.")
        if number == 1:
            _require_different(done[0].model, done[1].model, job)
    seeds = f"{job.options.seed} to {job.options.seed + members - 1}"
    note = f"The probabilities are the mean over {members} members, trained with the seeds {seeds}."
    warnings = [f"Member {place}: {told}" for place, one in enumerate(done, 1) for told in one.warnings]
    ensemble = with_ensemble(done[0], [one.model for one in done], job, note)
    return replace(ensemble, warnings=warnings, known=0)


def _job_of(job: Job, number: int, members: int) -> Job:
    """The job of one member; epochs are told of the first, and what it remembers is its own."""
    left = (job.deadline - time.monotonic()) / (members - number)
    own = replace(
        job,
        options=replace(job.options, seed=job.options.seed + number),
        deadline=min(job.deadline, time.monotonic() + left),
        checkpoints=None if job.checkpoints is None else job.checkpoints / f"member-{number + 1}",
    )
    if not number:
        return own
    return replace(own, on_epoch=untold, on_kept=None, on_fed=None, features={}, heads={}, trials={})


def _require_different(first: Model, second: Model, job: Job) -> None:
    """Raise UsageError where another seed changed nothing."""
    images = job.val.images[:COMPARED]
    with torch.no_grad():
        one, other = (model.head(torch.from_numpy(embed(model, images)).to(model.device)) for model in (first, second))
    if torch.equal(one, other):
        raise UsageError(
            "the members of a deep ensemble differ by their seeds, and another seed changes nothing here: nothing in "
            "this training is left to chance. Choose a network that is trained from scratch or fine-tuned."
        )


UNCERTAINTIES.register(
    "deep_ensemble",
    title="Deep ensemble",
    meaning="The same network trained with several seeds (Lakshminarayanan et al. 2017).",
    cost="hours",
    order=1,
    amount=("the number of members", 5, 2, 50),
)(Method(fit_deep_ensemble))
