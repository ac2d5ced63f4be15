"""May images be changed so? Decided by evidence: mirrored digits are not digits, mirrored ants are ants."""

from collections.abc import Sequence

from linnaea.learning.job import Job
from linnaea.learning.trials import Confusion, Trial, try_augmentations

MOST_NAMED = 2


def choose_augmentations(job: Job, usual: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
    """The augmentations the user asked for, or the usual ones less those the evidence is against.

    Each is tried once per run on a quick classifier (`linnaea.learning.trials`). One that was asked for stays,
    whatever the evidence says. Returns the names and sentences for the record.
    """
    asked = job.options.augmentations
    names = usual if asked is None else asked
    if job.task.multilabel:
        return names, [f"Augmentations, not tried out because images have several labels: {_listed(names)}."]
    trials = [trial for trial in trials_of(job, names) if trial.against]
    if asked is not None:
        doubts = [f"The evidence is against {described(trial, job.names)}." for trial in trials]
        return asked, [f"Augmentations as requested: {_listed(asked)}.", *doubts]
    refused = {trial.name for trial in trials}
    chosen = tuple(name for name in usual if name not in refused)
    return chosen, [
        f"Augmentations: {_listed(chosen)}.",
        *(f"Left out because the evidence is against it: {described(trial, job.names)}." for trial in trials),
    ]


def trials_of(job: Job, names: Sequence[str]) -> list[Trial]:
    """What was seen of each of these augmentations; tried now where that was not done before in this run."""
    untried = [name for name in dict.fromkeys(names) if name not in job.trials]
    found = try_augmentations(job.train, job.val, job.classes, untried, job.options.seed)
    job.trials.update({trial.name: trial for trial in found})
    return [job.trials[name] for name in dict.fromkeys(names)]


def described(trial: Trial, names: Sequence[str]) -> str:
    """What was seen, in words, without a full stop; `names` are those of the classes."""
    before, after = trial.right / trial.n, trial.right / trial.n - trial.cost
    figures = (
        f"{trial.name} (a linear classifier trained on such images as well gets {after:.1%} of {trial.n} val images "
        f"right, {before:.1%} without them, p = {trial.p_value:.2g}"
    )
    confused = [_told(confusion, names) for confusion in trial.confusions[:MOST_NAMED]]
    return f"{figures}; of the changed images, {' and '.join(confused)})" if confused else f"{figures})"


def _told(confusion: Confusion, names: Sequence[str]) -> str:
    truth, taken_for = (
        names[number] if number < len(names) else f"class {number}" for number in (confusion.truth, confusion.taken_for)
    )
    return f"{truth} is mistaken for {taken_for} in {confusion.share:.0%}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
