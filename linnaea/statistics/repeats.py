"""The mean of a figure over repeats, folds or seeds, and how far it would be off with others."""

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtr

from linnaea.finding import Estimate
from linnaea.statistics.spread import Bounds, limits_of

SHARE: Bounds = (0.0, 1.0)


def deviation(values: Sequence[float]) -> float:
    """The standard deviation between repeats; 0 of fewer than two."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def mean_over(values: Sequence[float], n: int, unit: str, *, overlap: float = 0.0, bounds: Bounds = SHARE) -> Estimate:
    """The mean of a figure over repeats with its 95 % interval, by Student's t on a scale that knows its `bounds`.

    `n` is the number of images behind it, `unit` what is repeated. `overlap` is the images judged per image learnt
    from, where repeats share what they learn from: the variance of the mean is then larger by that times the variance
    between repeats (Nadeau and Bengio 2003); 0 for independent repeats. There is no interval for fewer than two
    repeats, nor where all agree: they tell nothing of it.
    """
    if not values:
        return Estimate(None, None, None, n, "not defined: nothing finished")
    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean, None, None, n, f"no interval: one {unit}")
    if len(set(values)) == 1:
        return Estimate(mean, None, None, n, f"no interval: all {len(values)} {unit}s agree")
    error = deviation(values) * np.sqrt(1 / len(values) + overlap)
    lo, hi = limits_of(np.array([mean]), np.array([error]), len(values) - 1, bounds)
    return Estimate(mean, float(lo[0]), float(hi[0]), n, f"Student's t over {len(values)} {unit}s")


def corrected_t(differences: Sequence[float], overlap: float, n: int) -> tuple[Estimate, float | None]:
    """The mean of differences over folds, repeated or not, with its interval, and the p-value that it is 0.

    The corrected resampled t-test of Nadeau and Bengio (2003): folds share most of what they learn from, so that their
    differences vary less than those of classifiers that learnt from other images. `overlap` is the number of images
    judged per image learnt from in a fold, `n` the images in all. None where there are too few, or all agree.
    """
    told = mean_over(differences, n, "fold", overlap=overlap, bounds=(-np.inf, np.inf))
    if told.value is None or told.lo is None:
        return told, None
    error = deviation(differences) * float(np.sqrt(1 / len(differences) + overlap))
    return told, float(2 * stdtr(len(differences) - 1, -abs(told.value) / error))
