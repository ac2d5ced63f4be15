"""The contract of a method of uncertainty."""

from collections.abc import Callable
from dataclasses import dataclass

from linnaea.learning.job import Fitted, Job
from linnaea.learning.recipe import TrainingRecipe
from linnaea.learning.rungs.steps import Step
from linnaea.registry import Registry

Fit = Callable[[Job], Fitted]


def anything(step: Step, recipe: TrainingRecipe) -> None:
    """Whatever the step is, it will do."""


@dataclass(frozen=True)
class Method:
    """A registered method: `fit(fit, job, members)` fits a rung by its own `fit` to a model of so many members.

    `trained` says that it is for networks that are trained by epochs; `sets` are the fields of a recipe that it sets
    itself, which nobody else may. `collects` says that it copies whole weights while they are trained, which processes
    that have a part of them each cannot. `require` raises UsageError for a step that cannot be fitted so, before any
    work.
    """

    fit: Callable[[Fit, Job, int], Fitted]
    trained: bool = True
    sets: tuple[str, ...] = ()
    require: Callable[[Step, TrainingRecipe], None] = anything
    collects: bool = False


UNCERTAINTIES: Registry[Method] = Registry(
    "uncertainty",
    "linnaea.learning.uncertainty",
    title="Uncertainty",
    use="Chosen with `linnaea train --uncertainty`: answers by several members, with the parts of their uncertainty.",
)
"""Capabilities: `amount`, the number of members."""
