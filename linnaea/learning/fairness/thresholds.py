"""A threshold for each group, chosen after training."""

import numpy as np

from linnaea.arrays import Flags, Float64, Floats, Integers
from linnaea.learning.fairness.contract import FAIRNESS, Fair

POINTS = 101
LEAST = 10  # images of either class, for a rate of either to be known to more than a tenth


def equalized_odds(probabilities: Floats, positive: Flags, groups: Integers) -> Float64:
    """The thresholds (G,) with the most nearly equal true and false positive rates, of those that cost least accuracy.

    After Hardt et al. (2016), without their coin: for each point that all groups might share, the threshold of each
    group that comes nearest to it; the point with the lowest sum of the share of wrong answers and the larger gap. A
    group with fewer than `LEAST` images of either class has none of its own, which is NaN, and neither has any where
    fewer than two groups have enough: there is nothing to make equal.
    """
    count = int(groups.max()) + 1
    tables = [_rates(probabilities[groups == group], positive[groups == group]) for group in range(count)]
    known = [group for group, table in enumerate(tables) if table is not None]
    best, chosen = np.inf, np.full(count, np.nan)
    if len(known) < 2:
        return chosen
    images = np.bincount(groups, minlength=count)[known]
    for point in [point for group in known for point in _points(tables[group])]:
        picked = {group: _nearest(tables[group], point) for group in known}
        rates = np.array([tables[group][1][place] for group, place in picked.items()])  # type: ignore[index]
        gap = float((rates.max(axis=0) - rates.min(axis=0)).max())
        shares = [tables[group][2][place] for group, place in picked.items()]  # type: ignore[index]
        wrong = float(np.average(shares, weights=images))
        if wrong + gap < best - 1e-12:
            best = wrong + gap
            for group, place in picked.items():
                chosen[group] = tables[group][0][place]  # type: ignore[index]
    return chosen


Table = tuple[Floats, Floats, Floats]


def _rates(probabilities: Floats, positive: Flags) -> Table | None:
    """Thresholds (T,), true and false positive rates (T, 2) and shares of wrong answers (T,); None of few images."""
    if min(int(positive.sum()), int((~positive).sum())) < LEAST:
        return None
    levels = np.unique(np.quantile(probabilities, np.linspace(0, 1, POINTS)))
    thresholds = np.clip(np.concatenate([(levels[1:] + levels[:-1]) / 2, [levels[0], 0.5]]), 1e-6, 1.0)
    answered = probabilities >= thresholds[:, None]
    rates = np.stack([answered[:, positive].mean(axis=1), answered[:, ~positive].mean(axis=1)], axis=1)
    return thresholds, rates, (answered != positive).mean(axis=1)


def _points(table: Table | None) -> Floats:
    assert table is not None, "it is known"
    return table[1]


def _nearest(table: Table | None, point: Floats) -> int:
    assert table is not None, "it is known"
    return int(np.abs(table[1] - point).max(axis=1).argmin())


FAIRNESS.register(
    "equalized_odds",
    title="Equalised-odds thresholds",
    meaning="A threshold for each group, so that true and false positive rates are nearly equal (Hardt et al. 2016).",
    order=30,
)(
    Fair(
        "thresholds",
        equalized_odds,
        "An image whose group is not known when it is answered, or has too few val images, is decided by the common "
        "threshold, for which nothing was made equal.",
    )
)
