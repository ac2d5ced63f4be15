"""Several columns of numbers, the distribution of each compared, and judged together."""

from collections.abc import Callable, Sequence

import numpy as np

from linnaea.arrays import Floats
from linnaea.delivery.monitoring.drift.contract import Drift
from linnaea.statistics.association import p_of_largest
from linnaea.statistics.exchanging import rarest, tail_scores

NAMED = 3  # columns that are told in words
MEASURE = "largest distance of shares"
CHANGED = 0.05  # adjusted p-value below which a column is named


def columns_drift(distances: Floats, names: Sequence[str], said: Callable[[int], str], *, named: int = NAMED) -> Drift:
    """What the distances of the distributions of columns (B + 1, C) say, by name; `said` tells one of them in words.

    At most so many are `named` in words. The p-values of rows are corrected for the number of columns and their
    dependence (Westfall and Young 1993).
    """
    scores = tail_scores(distances)
    adjusted = p_of_largest(scores[0], scores[1:].max(axis=1))
    order = np.lexsort((-distances[0], -scores[0]))
    rows = [
        {
            "name": names[place],
            "change": said(place),
            "distance": float(distances[0, place]),
            "p": float(adjusted[place]),
        }
        for place in order.tolist()
    ]
    told = [row for row in rows[:named] if row["p"] <= CHANGED] or rows[:1]
    told.sort(key=lambda row: names.index(row["name"]))
    return Drift(rarest(distances), ", ".join(str(row["change"]) for row in told), _largest(distances), MEASURE, rows)


def _largest(distances: Floats) -> float:
    return float(distances[0].max(initial=0.0))
