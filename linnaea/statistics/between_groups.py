"""Do means differ between groups of images? Limits that hold for all groups at once, and tests by permutation."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from linnaea.arrays import Flags, Floats, Integers
from linnaea.statistics.association import p_of_largest
from linnaea.statistics.shares import shares
from linnaea.statistics.spread import Z

DRAWS, MORE_DRAWS, MORE_SHUFFLES = 2_000, 20_000, 5_000
FEW_BEYOND = 20  # of the first draws, below which more are made: a p-value may have to bear a correction
MOST_SHUFFLED = 2 * 10**8  # values moved about; beyond that sums over so many images are normal
AT_ONCE = 2**22


@dataclass(frozen=True, eq=False)
class Means:
    """The mean of each group (G,) with limits, and the number of images behind it; NaN for what cannot be told."""

    value: Floats
    lo: Floats
    hi: Floats
    images: Integers


def means_of(
    values: Floats, places: Integers, count: int, units: Integers | None = None, *, confidence: float = 0.95
) -> Means:
    """The means of `values` (m,) over groups, whose numbers are `places` (m,), with limits of this confidence each.

    Limits are Wilson's for shares, Student's for other values. `units` (m,) number what was drawn, where several images
    come from one.
    """
    images = np.bincount(places, minlength=count).astype(np.int64)
    if is_shares(values):
        told = shares(places, values, count, units, confidence=confidence)
        return Means(told.value, told.lo, told.hi, images)
    own = np.arange(len(values)) if units is None else units
    mean = np.divide(
        np.bincount(places, weights=values, minlength=count), images, out=np.full(count, np.nan), where=images > 0
    )
    cells, inverse = np.unique(own * count + places, return_inverse=True)
    off = np.bincount(inverse, weights=values - mean[places], minlength=len(cells))
    drawn = np.bincount(cells % count, minlength=count)
    squares = np.bincount(cells % count, weights=off**2, minlength=count)
    error = np.sqrt(squares * drawn / np.maximum(drawn - 1, 1)) / np.maximum(images, 1)
    half = stdtrit(np.maximum(drawn - 1, 1.0), (1 + confidence) / 2) * error
    known = drawn > 1
    return Means(mean, np.where(known, mean - half, np.nan), np.where(known, mean + half, np.nan), images)


def is_shares(values: Floats) -> bool:
    """Whether all values are 0 or 1."""
    return bool(((values == 0) | (values == 1)).all())


@lru_cache(maxsize=256)
def confidence_for_pairs(groups: int, error: float = 0.05) -> float:
    """The confidence of each group's limits that makes all differences of two hold at once (Tukey).

    They hold but for a share `error` of samples; for two groups it is that of one difference.
    """
    from scipy.stats import studentized_range

    if groups < 2:
        return 1 - error
    quantile = float(studentized_range.ppf(1 - error, groups, np.inf)) / np.sqrt(2)
    return float(2 * ndtr(quantile) - 1)


def widened(groups: int) -> float:
    """By how much limits of 95 % must be wider so that those of so many groups hold at once (Sidak 1967)."""
    return float(-ndtri((1 - 0.95 ** (1 / max(groups, 1))) / 2) / Z)


def largest_difference(means: Means) -> tuple[float, float, float]:
    """The highest mean less the lowest, with limits for the largest true difference, whichever groups it is between.

    Each group's limits are combined as those of independent figures (Zou and Donner 2008), Newcombe's for shares. NaN
    limits where fewer than two groups have any.
    """
    known = np.flatnonzero(~np.isnan(means.value))
    value, lo, hi = means.value[known], means.lo[known], means.hi[known]
    gap = float(value.max() - value.min()) if len(value) > 1 else float("nan")
    told = ~(np.isnan(lo) | np.isnan(hi))
    if told.sum() < 2:
        return gap, float("nan"), float("nan")
    value, lo, hi = value[told], lo[told], hi[told]
    differences = value[:, None] - value
    below = differences - np.hypot(value[:, None] - lo[:, None], hi - value)
    above = differences + np.hypot(hi[:, None] - value[:, None], value - lo)
    np.fill_diagonal(below, 0.0)
    np.fill_diagonal(above, 0.0)
    return gap, float(max(below.max(), 0.0)), float(above.max())


def standardised(sums: Floats, images: Floats, mean: Floats | float, variance: Floats | float) -> Floats:
    """How far sums (..., G) of groups lie from what their images (G,) would sum up to, in standard errors."""
    total = images.sum()
    error = np.sqrt(variance * images * (total - images) / max(total - 1, 1))
    far = np.asarray(sums - images * mean, dtype=np.float64)
    return np.asarray(np.divide(far, error, out=np.zeros_like(far), where=np.broadcast_to(error > 1e-12, far.shape)))


def p_of_groups(
    values: Floats, places: Integers, count: int, units: Integers | None = None, *, above: bool = False, seed: int = 0
) -> Floats:
    """The p-value of each group (G,) for its mean differing from the others', corrected for there being G of them.

    Groups are shuffled among the images, and the largest distance of any group is compared (Westfall and Young 1993,
    single step); exact, whatever the values (m,) are. Where several images come from one of the `units` (m,), the sums
    of whole units change their signs instead (wild bootstrap, Cameron et al. 2008). `above` asks only whether a mean is
    higher. NaN for a group without images.
    """
    images = np.bincount(places, minlength=count).astype(np.float64)
    there = images > 0
    found = np.full(count, np.nan)
    if there.sum() < 2 or values.min() == values.max():
        found[there] = 1.0
        return found
    number = np.cumsum(there) - 1
    case = _Case(values.astype(np.float64), number[places], images[there], units, above)
    p = case.p(DRAWS, seed)
    if p.min() * (DRAWS + 1) < FEW_BEYOND + 0.5:
        p = case.p(MORE_DRAWS if is_shares(values) else MORE_SHUFFLES, seed + 1)
    found[there] = p
    return found


@dataclass(frozen=True, eq=False)
class _Case:
    """Values (m,) in groups `places` (m,), all of which have images (G,)."""

    values: Floats
    places: Integers
    images: Floats
    units: Integers | None
    above: bool

    def p(self, draws: int, seed: int) -> Floats:
        """The p-value of each group (G,)."""
        return p_of_largest(self._own(), self._drawn(draws, np.random.default_rng(seed)))

    def _far(self, scores: Floats) -> Floats:
        return scores if self.above else np.abs(scores)

    def _own(self) -> Floats:
        if self.units is not None:
            totals = self._unit_totals()
            return self._far(totals.sum(axis=0) / np.sqrt(np.maximum((totals**2).sum(axis=0), 1e-24)))
        sums: Floats = np.bincount(self.places, weights=self.values, minlength=len(self.images)).astype(np.float64)
        return self._far(standardised(sums, self.images, self.values.mean(), self.values.var()))

    def _drawn(self, draws: int, random: np.random.Generator) -> Floats:
        """The largest distance in each draw (B,)."""
        if self.units is not None:
            return self._flipped(draws, random)
        mean, variance = self.values.mean(), self.values.var()
        rows = max(1, AT_ONCE // max(len(self.images), 1))
        parts = [self._sums(min(rows, draws - start), random) for start in range(0, draws, rows)]
        found = [self._far(standardised(part, self.images, mean, variance)).max(axis=1) for part in parts]
        return np.concatenate(found)

    def _sums(self, draws: int, random: np.random.Generator) -> Floats:
        """What each group sums up to where groups are shuffled (B, G)."""
        sizes = self.images.astype(np.int64)
        if is_shares(self.values):
            ones = int(self.values.sum())
            return random.multivariate_hypergeometric(sizes, ones, draws, method="marginals").astype(np.float64)
        if len(self.values) * draws > MOST_SHUFFLED:
            free = random.standard_normal((draws, len(sizes))) * np.sqrt(self.images)
            centred = free - self.images / self.images.sum() * free.sum(axis=1, keepdims=True)
            return np.asarray(self.images * self.values.mean() + centred * self.values.std())
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        drawn = (np.add.reduceat(random.permutation(self.values), starts) for _ in range(draws))
        return np.stack(list(drawn))

    def _unit_totals(self) -> Floats:
        """What each unit adds to the distance of each group (U, G)."""
        assert self.units is not None, "images come from units"
        _, unit = np.unique(self.units, return_inverse=True)
        off, groups = self.values - self.values.mean(), len(self.images)
        cells = np.bincount(unit * groups + self.places, weights=off, minlength=(unit.max() + 1) * groups)
        totals = cells.reshape(-1, groups)
        return np.asarray(totals - totals.sum(axis=1, keepdims=True) * self.images / self.images.sum())

    def _flipped(self, draws: int, random: np.random.Generator) -> Floats:
        totals = self._unit_totals()
        scale = np.sqrt(np.maximum((totals**2).sum(axis=0), 1e-24))
        rows = max(1, AT_ONCE // len(totals))
        found = []
        for start in range(0, draws, rows):
            signs = random.integers(0, 2, (min(rows, draws - start), len(totals)), dtype=np.int8) * 2.0 - 1
            found.append(self._far(signs @ totals / scale).max(axis=1))
        return np.concatenate(found)


def judged_groups(places: Integers, count: int, smallest: int) -> Flags:
    """Which groups have so many images at the least (G,)."""
    return np.asarray(np.bincount(places[places >= 0], minlength=count) >= smallest)
