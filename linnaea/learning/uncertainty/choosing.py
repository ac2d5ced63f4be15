"""The steps of a ladder, each fitted to several members."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from linnaea.errors import UsageError
from linnaea.learning.amounts import look_up
from linnaea.learning.job import Fitted, Job
from linnaea.learning.optimizers import usual_schedule
from linnaea.learning.recipe import TrainingRecipe
from linnaea.learning.rungs.contract import RUNGS
from linnaea.learning.rungs.steps import Step
from linnaea.learning.uncertainty.contract import UNCERTAINTIES, Fit, Method

DEEP = "deep_ensemble"


def read(given: int | str) -> str:
    """The name of a method with its number; a number alone is that of the members of a deep ensemble."""
    return f"{DEEP}:{given}" if isinstance(given, int) or given.isdecimal() else given


def steps_with_members(
    steps: Sequence[Step], given: int | str | None, recipe: TrainingRecipe, *, auto: bool
) -> tuple[list[Step], list[str]]:
    """The steps, each fitted by the method that is asked for, and notes on those left out; baselines stay as they are.

    Steps are left out only of the automatic ladder. Raises UsageError for a step that was asked for by name and has no
    members to offer, and where no step has.
    """
    if given is None:
        return list(steps), []
    name = read(given)
    method, amount = look_up(UNCERTAINTIES, name)
    assert amount is not None, "the number of members"
    if amount != int(amount):
        raise UsageError(f"the uncertainty {name!r} has {amount} members: expected a whole number.")
    _require_own(name, method, recipe)
    kept, notes = list[Step](), list[str]()
    for step in steps:
        try:
            if not step.rung.baseline:
                _require(name, method, step, recipe)
        except UsageError as error:
            if not auto:
                raise
            notes.append(f"{step.name} is left out of the ladder: {error}")
            continue
        fit = partial(_fit, method, step.rung.fit, int(amount))
        kept.append(step if step.rung.baseline else replace(step, rung=replace(step.rung, fit=fit)))
    if all(step.rung.baseline for step in kept):
        raise UsageError(" ".join(notes) or f"{steps[0].name} is a baseline: --uncertainty is for what learns.")
    return kept, notes


def collects(given: int | str | None) -> bool:
    """Whether what is asked for copies whole weights while they are trained."""
    return given is not None and look_up(UNCERTAINTIES, read(given))[0].collects


def _fit(method: Method, fit: Fit, members: int, job: Job) -> Fitted:
    """As a rung is fitted, by a method."""
    return method.fit(fit, job, members)


def _require(name: str, method: Method, step: Step, recipe: TrainingRecipe) -> None:
    """Raise UsageError where a step cannot be fitted by the method."""
    if method.trained and "optimizer" not in step.rung.recipe:
        others = [other for other, member in UNCERTAINTIES.items() if not member.trained]
        trained = [rung for rung, member in RUNGS.items() if "optimizer" in member.recipe]
        raise UsageError(
            f"--uncertainty is {name}, which is for networks that are trained, and {step.name} is none: add one of "
            f"{', '.join(trained)} or the name of a network, or take {' or '.join(others)}, which does with a linear "
            "head."
        )
    method.require(step, recipe)


def _require_own(name: str, method: Method, recipe: TrainingRecipe) -> None:
    """Raise UsageError where what the method sets itself is asked for."""
    asked = recipe.given(method.sets)
    if asked:
        raise UsageError(
            f"--uncertainty is {name}, which decides itself about {', '.join(asked)}: leave one of them out."
        )
    if "schedule" in method.sets and usual_schedule(recipe.optimizer):
        raise UsageError(
            f"--uncertainty is {name}, which has a schedule of its own, and the optimizer {recipe.optimizer} wants a "
            "constant rate: choose another optimizer, or deep_ensemble."
        )
