"""Shares of images that were chosen with unequal chances: each stands for as many as it was unlikely to be chosen."""

import numpy as np
from scipy.special import stdtrit

from linnaea.arrays import Floats
from linnaea.finding import Estimate
from linnaea.statistics.shares import wilson


def share_of(values: Floats, weights: Floats | None = None) -> Estimate:
    """The share of 1 among values (n,) of 0 and 1, of which each counts as much as its weight (n,) (Hájek).

    Wilson's limits; with weights those of as many images as have the variance of the weighed share (Kish), with
    Student's t. A value of NaN is not counted.
    """
    known = np.isfinite(values)
    values = np.asarray(values, dtype=np.float64)[known]
    count = len(values)
    if not count:
        return Estimate(None, None, None, 0, "not defined: no labels")
    if weights is None:
        lo, hi = wilson(values.sum(), count)
        return Estimate(float(values.mean()), float(lo), float(hi), count, "Wilson")
    mass = np.asarray(weights, dtype=np.float64)[known]
    share = float(mass @ values / mass.sum())
    even = float(mass.sum() ** 2 / np.square(mass).sum())
    spread, variance = share * (1 - share), float(np.square(mass * (values - share)).sum() / mass.sum() ** 2)
    worth = min(spread / variance, count) if spread > 0 and variance > 0 else even
    lo, hi = wilson(share * worth, worth, float(stdtrit(max(even - 1, 1.0), 0.975)))
    return Estimate(share, float(lo), float(hi), count, "Wilson, weighed by the chance of being labelled")
