"""Classifiers over several data sets: ranks, their test and the critical difference (Demsar 2006)."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from linnaea.arrays import Floats
from linnaea.statistics.association import holm_of_known

LEVEL = 0.05
FEWEST = 6  # of fewer data sets no signed-rank test can be below 0.05
MOST_EXACT = 500  # data sets whose signs are counted out
TINY, DIGITS = 1e-12, 10


@dataclass(frozen=True)
class Ranked:
    """The mean rank of each of k classifiers, 1 the best, over N data sets, and what Friedman's test says of them.

    Two whose ranks differ by `critical` or more are told apart (Nemenyi 1963); None of two classifiers, which have no
    such test.
    """

    ranks: list[float]
    datasets: int
    p_value: float | None
    critical: float | None

    @property
    def told_apart(self) -> bool:
        """Whether the ranks differ by more than chance would have it."""
        return self.p_value is not None and self.p_value < LEVEL


def ranked(values: Floats, *, higher_is_better: bool = True) -> Ranked:
    """Rank figures (N, k) of k classifiers on N data sets; ties share a rank.

    Friedman's test in the form of Iman and Davenport (1980), which Friedman's own is too cautious without. No p-value
    is below the chance that all data sets rank alike, which that form takes for 0 however few they are.
    """
    from scipy.stats import f as fisher
    from scipy.stats import rankdata

    datasets, count = values.shape
    ranks = rankdata(-values if higher_is_better else values, axis=1)
    mean = ranks.mean(axis=0)
    if count < 3 or datasets < 2:
        return Ranked(mean.tolist(), datasets, None, None)
    # Between classifiers and within data sets, as an analysis of variance of ranks, which is right with ties as well.
    between = datasets * float(np.square(mean - (count + 1) / 2).sum())
    total = float(np.square(ranks - (count + 1) / 2).sum())
    rest = total - between
    freedom = (count - 1, (count - 1) * (datasets - 1))
    p_value = 0.0 if total else 1.0
    if rest > 1e-12:
        p_value = float(fisher.sf((datasets - 1) * between / rest, *freedom))
    p_value = max(p_value, math.exp((1 - datasets) * math.lgamma(count + 1)))
    return Ranked(
        mean.tolist(), datasets, p_value, _quantile(count) * float(np.sqrt(count * (count + 1) / (6 * datasets)))
    )


@cache
def _quantile(count: int) -> float:
    """How many standard errors the ranks of so many classifiers must differ by, whichever pair is looked at."""
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(1 - LEVEL, count, np.inf) / np.sqrt(2))


def signed_ranks(differences: Floats) -> float | None:
    """The p-value that differences (N,) are as likely to be above as below 0 (Wilcoxon 1945); None of all zeros.

    Exact, ties included: of all ways to give the ranks a sign, the share whose sum lies as far from its mean. Of more
    than 500 differences it is the normal approximation with ties. Those of 0 are left out, and what differs by less
    than arithmetic is exact counts as tied.
    """
    from scipy.stats import rankdata, wilcoxon

    moved = _rounded(differences)
    moved = moved[moved != 0]
    if not len(moved):
        return None
    if len(moved) > MOST_EXACT:
        return float(wilcoxon(moved, method="approx").pvalue)
    twice = np.rint(2 * rankdata(np.abs(moved))).astype(np.int64)  # ties share a rank that may be a half
    ways = np.zeros(twice.sum() + 1)
    ways[0] = 1.0
    for rank in twice.tolist():  # the distribution of the sum of the ranks above 0, rank by rank
        shifted = np.zeros_like(ways)
        shifted[rank:] = ways[: len(ways) - rank]
        ways = (ways + shifted) / 2
    sums = np.arange(len(ways))
    far = np.abs(2 * sums - twice.sum()) >= abs(2 * twice[moved > 0].sum() - twice.sum())
    return min(1.0, float(ways[far].sum()))


def _rounded(differences: Floats) -> Floats:
    """To so many digits of the largest that figures of the same counts have the same difference."""
    largest = float(np.abs(differences).max(initial=0.0))
    if largest <= TINY:
        return np.zeros_like(differences)
    return np.round(differences, DIGITS - int(np.floor(np.log10(largest))))


def all_signed_ranks(values: Floats) -> list[tuple[int, int, float | None, float | None]]:
    """Every pair of columns of figures (N, k): both places, the p-value, and that corrected by Holm."""
    count = values.shape[1]
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    p_values = [signed_ranks(values[:, j] - values[:, i]) for i, j in pairs]
    return [(i, j, p, fixed) for (i, j), p, fixed in zip(pairs, p_values, holm_of_known(p_values), strict=True)]
