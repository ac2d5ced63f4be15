"""Snapshot ensembles: the places where a rate that falls and rises again has led one training."""

from dataclasses import replace

from linnaea.learning.job import Fitted, Job
from linnaea.learning.uncertainty.collecting import Collected, models_of
from linnaea.learning.uncertainty.contract import UNCERTAINTIES, Fit, Method
from linnaea.learning.uncertainty.making import with_ensemble
from linnaea.learning.uncertainty.rescheduled import SETS, rescheduled, without_stale_warnings


def fit_snapshots(fit: Fit, job: Job, members: int) -> Fitted:
    """One training whose rate falls to zero along a cosine `members` times; each end of a cycle is a member."""
    collected = Collected([(number + 1) / members for number in range(members)])
    fitted = fit(replace(rescheduled(job, f"restarts:{members}"), hooks=(*job.hooks, collected)))
    models = models_of(fitted, collected.weights, job)
    note = f"The probabilities are the mean over {len(models)} snapshots, at the ends of cycles of the rate."
    return with_ensemble(without_stale_warnings(fitted), models, job, note)


UNCERTAINTIES.register(
    "snapshot",
    title="Snapshot ensemble",
    meaning="The ends of several cosine cycles of one training (Huang et al. 2017).",
    cost="hours",
    order=2,
    amount=("the number of cycles", 5, 2, 50),
)(Method(fit_snapshots, sets=SETS, collects=True))
