"""Which classes are answered, and how often."""

import numpy as np

from linnaea.arrays import Floats
from linnaea.delivery.monitoring.drift.contract import DRIFT_TESTS, Comparison, Drift
from linnaea.delivery.monitoring.seen import Seen
from linnaea.statistics.association import p_of_largest
from linnaea.statistics.exchanging import tail_scores

NAMED = 3
CHANGED = 0.05


@DRIFT_TESTS.register("class_mix", title="Class mix", needs=("logits",), order=60)
def class_mix(compared: Comparison) -> Drift:
    """How often each class is answered: the sum of squared differences over what is expected (Pearson's chi-square).

    Answers that are groups of classes count by themselves; an image with several labels counts for each.
    """
    names, columns = _answered(compared)
    totals = compared.exchange.block_sums(columns)
    own, other = compared.exchange.totals(totals)
    sizes = compared.exchange.images
    shares = own / max(sizes[1], 1), other / max(sizes[0], 1)
    expected = np.maximum(totals.sum(axis=0) / max(sum(sizes), 1), 1e-12)
    parts = np.square(shares[0] - shares[1]) / expected
    return _told(names, np.asarray(parts.sum(axis=1), dtype=np.float64), parts, shares[0][0], shares[1][0])


def _answered(compared: Comparison) -> tuple[list[str], Floats]:
    """The names of what is answered, and whether each image was answered so (N, C)."""

    def each(seen: Seen) -> list[list[str]]:
        return [
            list(label) if isinstance(label, list | tuple) else [] if label is None else [label]
            for label in seen.labels
        ]

    told = [*each(compared.reference), *each(compared.window)]
    place = {name: number for number, name in enumerate(compared.classes)}
    for labels in told:
        for label in labels:
            place.setdefault(label, len(place))
    columns = np.zeros((len(told), len(place)), dtype=np.float32)
    cells = [(row, place[label]) for row, labels in enumerate(told) for label in labels]
    if cells:
        columns[tuple(np.array(cells).T)] = 1
    return list(place), columns


def _told(names: list[str], values: Floats, parts: Floats, now: Floats, was: Floats) -> Drift:
    scores = tail_scores(parts)
    adjusted = p_of_largest(scores[0], scores[1:].max(axis=1))
    order = np.argsort(-parts[0], kind="stable").tolist()
    rows = [
        {"class": names[at], "share": float(now[at]), "reference": float(was[at]), "p": float(adjusted[at])}
        for at in order
    ]
    words = [
        f"`{row['class']}` {100 * float(row['share']):.0f} % instead of {100 * float(row['reference']):.0f} %"
        for row in rows[:NAMED]
        if float(row["p"]) <= CHANGED or row is rows[0]
    ]
    moved = float(np.abs(now - was).sum() / 2)
    return Drift(values, ", ".join(words), moved, "share of answers that moved", rows)
