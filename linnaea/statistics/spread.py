"""How far a figure varies from sample to sample, and its limits on a scale that knows its bounds."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit, stdtrit

from linnaea.arrays import Floats, Integers

Bounds = tuple[float, float]
Z = 1.959963984540054
_ELEMENTS = 2**20  # weights at once, 8 MB: what stays in a processor's cache runs fastest
_NOTHING = 1e-13  # of the value: what rounding alone may move it by
_STEEP = 500.0  # on the logarithmic scale: beyond it a limit is the bound itself


@dataclass(frozen=True, eq=False)
class Sample:
    """The `n` images of a sample and, where they are not independent, the number of each one's group (n,)."""

    n: int
    groups: Integers | None = None

    @classmethod
    def of(cls, n: int, groups: Sequence[Hashable | None] | None) -> "Sample":
        """Number the groups; an image without one is its own, and groups of one image each are no groups."""
        if groups is None:
            return cls(n)
        names = [(1, row) if group is None else (0, group) for row, group in enumerate(groups)]
        index = {name: number for number, name in enumerate(dict.fromkeys(names))}
        return cls(n, np.array([index[name] for name in names]) if len(index) < n else None)

    @property
    def units(self) -> int:
        """How many images or groups can be drawn."""
        return self.n if self.groups is None else int(self.groups.max()) + 1

    @property
    def unit_of(self) -> Integers:
        """The number of each image's unit (n,): its group, or itself."""
        return np.arange(self.n) if self.groups is None else self.groups

    @property
    def density(self) -> float:
        """Units per image, 0 to 1: how much of an independent observation an image counts as at the least."""
        return self.units / self.n if self.n else 1.0


@dataclass(frozen=True)
class Spread:
    """The standard error of a figure, the degrees of freedom that it was estimated with, and its bias if it is known.

    The bias is how far the figure tends to lie above the truth at this number of units.
    """

    error: float
    freedom: float
    bias: float = 0.0

    @classmethod
    def of_left_out(cls, values: Floats, whole: float | None = None) -> "Spread":
        """From what the figure is without each part of the sample (B,), and on the `whole` (jackknife, Tukey 1958)."""
        spread = cls._of(values - values.mean(), (len(values) - 1) / len(values))
        return spread if whole is None else replace(spread, bias=(len(values) - 1) * float(values.mean() - whole))

    @classmethod
    def of_influence(cls, influence: Floats, sample: Sample) -> "Spread":
        """From the rate at which the figure rises with the weight of each image (n,) (Jaeckel 1972)."""
        sums = influence if sample.groups is None else np.bincount(sample.groups, weights=influence)
        return cls._of(sums - sums.mean(), len(sums) / (len(sums) - 1))

    @classmethod
    def of_resamples(cls, values: Floats, units: int) -> "Spread":
        """From the figure on resamples (B,) of so many units, which understate its variance by one unit's share."""
        return cls(float(values.std() * np.sqrt(units / (units - 1))), float(units - 1))

    @classmethod
    def _of(cls, moved: Floats, factor: float) -> "Spread":
        squares = float(np.square(moved).sum())
        freedom = freedom_of(np.array([squares]), np.array([(moved**4).sum()]), np.array([float(len(moved))]))
        return cls(float(np.sqrt(factor * squares)), max(float(freedom[0]), 1.0))


def freedom_of(squares: Floats, fourths: Floats, units: Floats) -> Floats:
    """Degrees of freedom of variances (C,) from sums of squares and fourth powers over so many units (Satterthwaite).

    Units less one where all move a figure alike, and few where a few units carry most of the variance.
    """
    uneven = fourths - np.square(squares) / np.maximum(units, 1)
    even = ~(uneven > 1e-12 * fourths)
    return np.minimum(units - 1, np.where(even, np.inf, 2 * np.square(squares) / np.where(even, 1.0, uneven)))


def left_out(sample: Sample, parts: int, seed: int) -> Iterator[Floats]:
    """Yield weights (b, n): 1, and 0 for the units that are left out, each once and `parts` times at most."""
    units, n = sample.units, sample.n
    number = np.arange(units)
    if units > parts:
        number = np.random.default_rng(seed).permutation(number % parts)
    part, count = number[sample.unit_of], min(units, parts)
    rows = max(1, _ELEMENTS // max(n, 1))
    for start in range(0, count, rows):
        yield (part != np.arange(start, min(start + rows, count))[:, None]).astype(np.float64)


def resample(sample: Sample, replicates: int, seed: int) -> Iterator[Floats]:
    """Yield weights (b, n), `replicates` rows in all: how often each image is drawn, n of n with replacement.

    Whole groups are drawn, as many as there are: images of one group stay together, because they are not independent
    (Davison and Hinkley 1997, section 3.8).
    """
    n, units, numbers = sample.n, sample.units if sample.n else 0, sample.groups
    random = np.random.default_rng(seed)
    rows = max(1, _ELEMENTS // max(n, 1))
    for start in range(0, replicates if n else 0, rows):
        size = min(rows, replicates - start)
        drawn = random.integers(0, units, (size, units)) + units * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)
        yield counts if numbers is None else counts[:, numbers]


def limits_of(values: Floats, errors: Floats, freedom: float, bounds: Bounds) -> tuple[Floats, Floats]:
    """The 95 % limits of figures (C,) by Student's t on a scale that knows their `bounds`.

    That is the logit between two bounds, the logarithm above one, and the figure itself without. A figure at a bound,
    or without variation, is its own limit.
    """
    least, most = bounds
    half = stdtrit(freedom, 0.975) * errors
    if np.isinf(least):
        return values - half, values + half
    free = (values > least) & (values < most) & (errors > _NOTHING * np.abs(values))
    room = np.where(free, values - least, 1.0)
    if np.isinf(most):
        factor = np.exp(np.minimum(half / room, _STEEP))
        return np.where(free, least + room / factor, values), np.where(free, least + room * factor, values)
    share = np.where(free, room / (most - least), 0.5)
    step = half / (most - least) / (share * (1 - share))
    lo, hi = (least + (most - least) * expit(logit(share) + sign * step) for sign in (-1, 1))
    return np.where(free, lo, values), np.where(free, hi, values)
