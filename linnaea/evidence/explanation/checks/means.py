"""The mean of a figure over images, with its interval, and what that says."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from linnaea.arrays import Floats
from linnaea.finding import Estimate
from linnaea.statistics.intervals import Statistic, estimate
from linnaea.statistics.spread import Bounds, Sample

ANY: Bounds = (-np.inf, np.inf)
BOTH_SIGNS: Bounds = (-1.0, 1.0)
ENOUGH = 5  # images that agree, for their agreement to be believed


def mean_of(values: Floats, bounds: Bounds = ANY) -> Estimate:
    """The mean of figures (N,) with its 95 % interval; those that are not numbers are left out.

    One image has a figure and no interval, as have up to four that agree; none has neither, with the reason.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return Estimate(None, None, None, 0, "not defined: every map is flat")
    told = estimate({"mean": Statistic(_mean(known), len(known), bounds=bounds)}, Sample(len(known)))["mean"]
    if np.ptp(known) or len(known) < 2:
        return told
    if len(known) < ENOUGH:
        return replace(told, lo=None, hi=None, method=f"no interval: all {len(known)} images agree, which are few")
    return replace(told, lo=told.value, hi=told.value, method=f"all {len(known)} images agree")


def _mean(values: Floats) -> Callable[[Floats], Floats]:
    return lambda weights: weights @ values / weights.sum(axis=1)


def above(told: Estimate, bound: float) -> bool | None:
    """Whether the figure lies above a bound (True), below it (False), or cannot be told from it (None)."""
    if told.value is None or told.lo is None or told.hi is None:
        return None
    if told.lo > bound:
        return True
    return False if told.hi < bound else None
