"""The interval of a calibration error, which chance lifts: a sum of absolute gaps is above zero where none is."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import sparse

from linnaea.arrays import Floats, Integers

_DRAWS = 1000
_STEPS = 20  # halvings of the interval from 0 to 1


def interval_of_gaps(
    places: Integers, stated: Floats, true: npt.NDArray[np.bool_], units: Integers
) -> tuple[float, float]:
    """The 95 % limits of the sum over bins of absolute mean gaps between what was `stated` (m,) and is `true` (m,).

    `places` (m,) are their bins and `units` (m,) number the image or group of each. A test is turned around: held to be
    possible are the sums of true gaps under which what was seen is neither too high nor too low. The gaps of a sample
    vary about the true ones as they do between units, and not less than if what was stated were right, so that what
    chance adds is part of the test. How a sum is shared among the bins is not known: the lower limit takes the gaps
    that were seen less what chance adds to them, by which others are near zero and lifted most; the upper one spreads
    them as far as chance would have, by which all are lifted least.
    """
    if len(np.unique(units)) < 2:
        return float("nan"), float("nan")
    means, spread = gaps(places, stated, true, units)
    error = np.sqrt(spread.diagonal())
    values, vectors = np.linalg.eigh(spread)
    noise = np.random.default_rng(0).normal(size=(_DRAWS, len(means))) @ (vectors * np.sqrt(np.maximum(values, 0))).T
    seen = float(np.abs(means).sum())
    freed = np.sqrt(np.maximum(np.square(means) - np.square(error), 0))
    narrow = np.where(freed.any(), freed, np.abs(means)) * np.sign(means)
    wide = np.hypot(means, error) * np.where(means < 0, -1, 1)

    def above(shape: Floats) -> Callable[[float], float]:
        direction = shape / max(float(np.abs(shape).sum()), 1e-300)
        return lambda true: float((np.abs(true * direction + noise).sum(axis=1) >= seen - 1e-12).mean())

    lo, hi = first_of(above(narrow), 0.025), first_of(above(wide), 0.975)
    return min(lo, seen), max(hi, seen)


def gaps(places: Integers, stated: Floats, true: npt.NDArray[np.bool_], units: Integers) -> tuple[Floats, Floats]:
    """The mean gaps of bins that hold anything (C,), shares of all entries, and their covariance (C, C)."""
    (used, place), (drawn, unit) = (np.unique(part, return_inverse=True) for part in (places, units))
    count, entries = len(drawn), len(places)
    sums = sparse.csr_array((stated - true, (unit, place)), shape=(count, len(used)))
    total: Floats = np.asarray(sums.sum(axis=0))
    spread = ((sums.T @ sums).toarray() - np.outer(total, total) / count) * count / (count - 1)
    expected = np.bincount(place, weights=stated * (1 - stated))
    spread[np.diag_indices(len(used))] = np.maximum(spread.diagonal(), expected)
    return total / entries, spread / entries**2


def first_of(above: Callable[[float], float], share: float) -> float:
    """The lowest true sum, 0 to 1, of which so many samples are as high as the one seen."""
    if above(0.0) >= share:
        return 0.0
    lo, hi = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (lo + hi) / 2
        lo, hi = (lo, middle) if above(middle) >= share else (middle, hi)
    return hi
