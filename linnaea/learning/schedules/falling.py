"""Schedules that fall to the end: one cycle, cosine, with restarts, polynomial, steps."""

import math

from linnaea.learning.schedules.contract import SCHEDULES, Moment

STEPS = 3
ROUNDING = 1e-9  # ends of cycles are not exact


@SCHEDULES.register(
    "one_cycle",
    title="One cycle",
    meaning="Rises, then falls linearly to zero.",
    order=1,
    warm_up=0.15,
)
def one_cycle(moment: Moment) -> float:
    """Smith 2018; Goyal et al. 2017; Li et al. 2020, "Budgeted training"."""
    return moment.left


@SCHEDULES.register("cosine", title="Cosine", meaning="Falls along half a cosine to zero.", order=2, warm_up=0.05)
def cosine(moment: Moment) -> float:
    """Loshchilov and Hutter 2017, without restarts."""
    return (1 + math.cos(math.pi * moment.done)) / 2


@SCHEDULES.register(
    "restarts",
    title="Warm restarts",
    meaning="Falls along half a cosine to zero, several times.",
    order=8,
    amount=("the number of cycles", 3, 1, 100),
    warm_up=0.0,
)
def restarts(moment: Moment) -> float:
    """Loshchilov and Hutter 2017, cycles of equal length."""
    assert moment.amount is not None, "it takes a number"
    if moment.left <= 0:
        return 0.0
    return (1 + math.cos(math.pi * ((moment.done * moment.amount + ROUNDING) % 1))) / 2


@SCHEDULES.register(
    "polynomial",
    title="Polynomial",
    meaning="Falls to zero as a power of what is left.",
    order=3,
    amount=("the power", 0.9, 0.1, 10),
    warm_up=0.05,
)
def polynomial(moment: Moment) -> float:
    """Chen et al. 2018."""
    assert moment.amount is not None, "it takes a number"
    return float(moment.left**moment.amount)


@SCHEDULES.register(
    "step",
    title="Steps",
    meaning="Is multiplied by a factor after each third.",
    order=4,
    amount=("the factor", 0.1, 0.001, 1),
    warm_up=0.05,
)
def step(moment: Moment) -> float:
    """He et al. 2016."""
    assert moment.amount is not None, "it takes a number"
    return float(moment.amount ** min(STEPS - 1, math.floor(STEPS * moment.done + 1e-9)))  # thirds are not exact
