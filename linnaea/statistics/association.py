"""Does a figure depend on what was varied? Told by permutations, which assume nothing of either."""

from collections.abc import Sequence

import numpy as np

from linnaea.arrays import Floats, Integers

PERMUTATIONS = 2_000
MOST_GROUPS, FEWEST_IN_GROUP = 4, 4


def groups_of(values: Sequence[object]) -> Integers:
    """A group for each of the values (n,): equal ones together or, of many different numbers, quarters by their ranks.

    With fewer than 16 numbers there are fewer groups, of four or more.
    """
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if not numbers or len(set(values)) <= MOST_GROUPS:
        names = {value: number for number, value in enumerate(dict.fromkeys(values))}
        return np.array([names[value] for value in values])
    count = max(2, min(MOST_GROUPS, len(values) // FEWEST_IN_GROUP))
    ranks = np.argsort(np.argsort(np.array(values, dtype=np.float64), kind="stable"), kind="stable")
    return np.asarray(ranks * count // len(values))


def ranks_of(figures: Floats) -> Floats:
    """The rank of each figure (n,), from 1 on; equal ones share theirs, whatever order they came in."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(figures), dtype=np.float64)


def between(groups: Integers, scores: Floats) -> Floats:
    """The sum of squares between groups (n,) of the scores (B, n), for each row (B,)."""
    members = (groups[:, None] == np.unique(groups)).astype(np.float64)
    means = scores @ members / members.sum(axis=0)
    return np.asarray((np.square(means - scores.mean(axis=1, keepdims=True)) * members.sum(axis=0)).sum(axis=1))


def p_of_dependence(values: Sequence[object], figures: Floats, seed: int = 0) -> float:
    """The p-value of no dependence of the figures (n,) on the values (n,): Kruskal and Wallis 1952, by permutation.

    1 where nothing was varied.
    """
    groups = groups_of(values)
    if len(np.unique(groups)) < 2:
        return 1.0
    ranks = ranks_of(figures)
    random = np.random.default_rng(seed)
    shuffled = random.permuted(np.tile(ranks, (PERMUTATIONS, 1)), axis=1)
    own = between(groups, ranks[None])[0]
    return float((1 + (between(groups, shuffled) >= own - 1e-9).sum()) / (1 + PERMUTATIONS))


def p_of_largest(own: Floats, largest: Floats) -> Floats:
    """The p-values (G,) of statistics, corrected for there being G: how often the largest of all is as large by chance.

    `largest` (B,) is that in each of B draws (Westfall and Young 1993, single step).
    """
    beyond = len(largest) - np.searchsorted(np.sort(largest), own - 1e-9, side="left")
    return np.asarray((1 + beyond) / (1 + len(largest)))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for there being several, so that one by chance is as rare as with one (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted, highest = [0.0] * len(p_values), 0.0
    for place, number in enumerate(order.tolist()):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[number]))
        adjusted[number] = highest
    return adjusted


def holm_of_known(p_values: Sequence[float | None]) -> list[float | None]:
    """The same where some tests could not be made: None stays None and does not count."""
    known = [place for place, p in enumerate(p_values) if p is not None]
    corrected: list[float | None] = [None] * len(p_values)
    for place, p in zip(known, holm([p for p in p_values if p is not None]), strict=True):
        corrected[place] = p
    return corrected
