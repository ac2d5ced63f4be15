"""The interval of a calibration error, which chance lifts: a sum of absolute gaps is above zero where none is."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import ndtr

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


def folded(means: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """The mean and the variance of the size of normal variables (C,)."""
    error = np.maximum(errors, 1e-300)
    ratio = means / error
    mean = error * np.sqrt(2 / np.pi) * np.exp(-np.square(ratio) / 2) + means * (1 - 2 * ndtr(-ratio))
    return mean, np.maximum(np.square(means) + np.square(errors) - np.square(mean), 0)


def squared(means: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """The mean and the variance of the squares of normal variables (C,)."""
    variance = np.square(errors)
    return np.square(means) + variance, 2 * np.square(variance) + 4 * np.square(means) * variance


def limits_of_many(
    means: Floats, errors: Floats, moments: Callable[[Floats, Floats], tuple[Floats, Floats]]
) -> tuple[float, float]:
    """The 95 % limits of a sum of sizes or squares of gaps, as `interval_of_gaps` has them, for very many bins.

    The sum over many bins is about normal; what is asked is at which true sum the one seen is no surprise.
    """
    power = 1.0 if moments is folded else 0.5

    def size(shape: Floats) -> float:
        return float((np.abs(shape) if moments is folded else np.square(shape)).sum())

    seen = size(means)
    freed = np.sqrt(np.maximum(np.square(means) - np.square(errors), 0)) * np.sign(means)
    narrow = freed if freed.any() else means
    wide = np.hypot(means, errors) * np.where(means < 0, -1, 1)

    def above(shape: Floats) -> Callable[[float], float]:
        direction = shape / max(size(shape), 1e-300) ** power

        def share(true: float) -> float:
            mean, variance = moments(direction * true**power, errors)
            return float(ndtr((mean.sum() - seen) / max(np.sqrt(variance.sum()), 1e-300)))

        return share

    return first_of(above(narrow), 0.025), first_of(above(wide), 0.975)
