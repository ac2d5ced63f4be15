"""Which rungs a balancer fits, and a job with the images it makes."""

from collections.abc import Sequence
from dataclasses import replace

from linnaea.errors import UsageError
from linnaea.learning.amounts import look_up
from linnaea.learning.balance import ACTS, BALANCERS
from linnaea.learning.examples import Examples
from linnaea.learning.job import Job, Options
from linnaea.learning.low_rank import require_adaptable
from linnaea.learning.model_names import kind_of
from linnaea.learning.recipe import OF_LOOP, OF_TRAINING, OF_TRANSFER, TrainingRecipe
from linnaea.learning.rungs.contract import RUNGS, Rung
from linnaea.learning.rungs.steps import Step


def steps_balanced(steps: Sequence[Step], balance: str | None, *, auto: bool) -> tuple[list[Step], list[str]]:
    """The steps that the balancer can act on, and notes on those left out; baselines stay as they are.

    Steps are left out only of the automatic ladder. Raises UsageError for a step that was asked for by name and cannot
    be balanced so, and when no step can.
    """
    if balance is None:
        return list(steps), []
    balancer, _ = look_up(BALANCERS, balance)
    unfit = [step for step in steps if not step.rung.baseline and balancer.acts_on not in step.rung.balances]
    fit = [step for step in steps if step not in unfit]
    if (unfit and not auto) or all(step.rung.baseline for step in fit):
        raise UsageError(_refusal(balance, balancer.acts_on, unfit[0] if unfit else steps[0]))
    what = ACTS[balancer.acts_on]
    return fit, [
        f"{step.name} is left out of the ladder: {balance} {what}, which it does not support." for step in unfit
    ]


def _refusal(balance: str, acts_on: str, step: Step) -> str:
    rungs = [name for name, rung in RUNGS.items() if acts_on in rung.balances]
    instead = [name for name, member in BALANCERS.items() if member.acts_on in step.rung.balances]
    return (
        f"the balance {balance!r} {ACTS[acts_on]}, which {step.name} does not support: {balance} works with the rungs "
        f"{', '.join(rungs)}; {step.name} {_possible(step.rung, instead)}."
    )


def _possible(rung: Rung, instead: Sequence[str]) -> str:
    if rung.baseline:
        return "is a baseline and cannot be balanced"
    return f"can be balanced by {', '.join(instead)}" if instead else "cannot be balanced"


def require_one_loss(loss: str | None, balance: str | None) -> None:
    """Raise UsageError where a loss is asked for and the balancer would put its own in its place."""
    if loss is not None and balance is not None and look_up(BALANCERS, balance)[0].acts_on == "loss":
        raise UsageError(
            f"the balance {balance!r} is a loss itself, and {loss!r} was given as the loss too: choose one of them."
        )


def require_use_of_loss(loss: str | None, steps: Sequence[Step]) -> None:
    """Raise UsageError where a loss is asked for and no step learns by one, or one of them has its own."""
    own = next((step.name for step in steps if not step.rung.losses), None)
    if loss is not None and own is not None:
        raise UsageError(
            f"{own} learns by a loss of its own, and {loss!r} was given as the loss: leave one of them out."
        )
    if loss is not None and all(step.rung.baseline for step in steps):
        raise UsageError(
            f"{', '.join(step.name for step in steps)} makes no loss small, and {loss!r} was given as the loss: leave "
            "it out, or add a model that learns."
        )


def require_use_of_training(options: Options, steps: Sequence[Step]) -> None:
    """Raise UsageError where epochs, a rate, a batch size or augmentations are asked for and no step is trained so."""
    for name, flag in OF_LOOP.items():
        if getattr(options, name):
            _require_use(name, flag, steps)


def require_use_of_recipe(recipe: TrainingRecipe, steps: Sequence[Step], *, auto: bool = False) -> None:
    """Raise UsageError where something is asked for that no step follows, with the rungs that do."""
    for name in (*OF_TRAINING, *OF_TRANSFER):
        for flag in recipe.given((name,)):
            _require_use(name, flag, steps, auto=auto)
    for step in steps:
        if recipe.lora is not None and "lora" in step.rung.recipe and step.weights is not None:
            require_adaptable(step.weights.network, step.weights.size, step.weights.arguments)


def _require_use(name: str, flag: str, steps: Sequence[Step], *, auto: bool = False) -> None:
    """Raise UsageError unless a step follows it; of weights, too, where it is for want of them that none does."""
    if any(name in step.rung.recipe for step in steps):
        return
    bare = [step.name for step in steps if step.rung.pretrained is False and (auto or _may_be_pretrained(step))]
    if name in OF_TRANSFER and bare:
        raise UsageError(
            f"{flag} was given, which is for pretrained networks, and {', '.join(bare)} has no pretrained weights "
            "here: leave it out, or give weights (--weights auto, or a file)."
        )
    rungs = [rung for rung, member in RUNGS.items() if name in member.recipe]
    raise UsageError(
        f"{flag} was given, and {', '.join(step.name for step in steps)} has no use for it: leave it out, "
        f"or add a model that is trained ({', '.join(rungs)}, or the name of a network)."
    )


def _may_be_pretrained(step: Step) -> bool:
    return step.network is not None and kind_of(step.network) == "network"


def with_pictures(job: Job) -> Job:
    """The job with the training images that its balancer makes after its own; the job itself if there are none."""
    images, targets = job.balance.pictures(job.train.images, job.train.targets, job.options.seed)
    if not len(targets):
        return job
    return replace(job, train=job.train.followed_by(Examples(images, targets)))
