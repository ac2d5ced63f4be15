"""The rungs of the ladder: ways to a fitted model, from the cheapest up.

A rung is a function from a `Job` to a `Fitted` model, registered in `RUNGS` with what it needs. Nothing here judges:
the ladder does that, with intervals, on the validation split.
"""

from linnaea.learning.rungs import classical, finetune, frozen, scratch
from linnaea.learning.rungs.balancing import require_one_loss, steps_balanced, with_pictures
from linnaea.learning.rungs.rung import RUNGS, Fitted, Job, Options, Rung, Step, steps_for

__all__ = [
    "RUNGS",
    "Fitted",
    "Job",
    "Options",
    "Rung",
    "Step",
    "classical",
    "finetune",
    "frozen",
    "require_one_loss",
    "scratch",
    "steps_balanced",
    "steps_for",
    "with_pictures",
]
