"""Matthews correlation coefficient."""

import numpy as np

from linnaea.arrays import Floats
from linnaea.evidence.metrics.contract import METRICS, Metric
from linnaea.evidence.metrics.scores import Scores, ratio, totals


def matthews(scores: Scores, weights: Floats) -> Floats:
    """The correlation of truths and answers, -1 to 1 (Gorodkin 2004); 0 is no better than chance."""
    whole, right = weights.sum(axis=1), weights @ scores.hits.astype(np.float64)
    truths = totals(weights, scores.targets, scores.classes)
    answers = totals(weights, scores.answers, scores.classes)
    spread = (whole**2 - (truths**2).sum(axis=1)) * (whole**2 - (answers**2).sum(axis=1))
    return ratio(right * whole - (truths * answers).sum(axis=1), np.sqrt(spread))


METRICS.register(
    "matthews",
    title="Matthews correlation",
    meaning="How closely answers go with truths, 0 by chance; 1 is perfect.",
    order=35,
    bounded=False,
)(Metric(matthews, True, bounds=(-1.0, 1.0)))
