"""The rungs of the ladder: ways to a fitted model, from the cheapest up.

A rung is a function from a `Job` to a `Fitted` model, registered in `RUNGS` with what it needs and what it costs.
Nothing here judges: the ladder does that, with intervals, on the validation split.
"""

from linnaea.learning.job import Fitted, Job, Options
from linnaea.learning.recipe import TrainingRecipe
from linnaea.learning.rungs.balancing import (
    require_one_loss,
    require_use_of_loss,
    require_use_of_recipe,
    require_use_of_training,
    steps_balanced,
    with_pictures,
)
from linnaea.learning.rungs.contract import RUNGS, Rung
from linnaea.learning.rungs.steps import Step, steps_for

__all__ = [
    "RUNGS",
    "Fitted",
    "Job",
    "Options",
    "Rung",
    "Step",
    "TrainingRecipe",
    "require_one_loss",
    "require_use_of_loss",
    "require_use_of_recipe",
    "require_use_of_training",
    "steps_balanced",
    "steps_for",
    "with_pictures",
]
