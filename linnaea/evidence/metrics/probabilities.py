"""Metrics of the probabilities, over the readable images."""

import numpy as np
from scipy.special import erf

from linnaea.evidence.metrics.contract import METRICS, Metric
from linnaea.evidence.metrics.scores import BINS, Scores, ratio, totals
from linnaea.task import Floats


def nll(scores: Scores, weights: Floats) -> Floats:
    """The mean negative natural logarithm of the true class's probability, 0 and above; lower is better.

    Exact from the logits where the probabilities are their softmax; else no probability counts as less than the
    smallest normal float32, about 1e-38.
    """
    scores, weights = scores.readable_part(weights)
    return ratio(weights @ -scores.log_likelihood, weights.sum(axis=1))


def brier(scores: Scores, weights: Floats) -> Floats:
    """The mean over images of the squared error summed over classes, 0 to 2; lower is better (Brier 1950)."""
    scores, weights = scores.readable_part(weights)
    return ratio(weights @ scores.squared_error, weights.sum(axis=1))


def ece(scores: Scores, weights: Floats) -> Floats:
    """The mean gap between confidence and accuracy over 15 bins of equal width, 0 to 1 (Guo et al. 2017)."""
    scores, weights = scores.readable_part(weights)
    gaps = totals(weights, scores.bins, BINS, scores.confidence - scores.hits)
    return ratio(np.abs(gaps).sum(axis=1), weights.sum(axis=1))


def _ece_bias(scores: Scores) -> float:
    """How far chance lifts the gaps: all of it where it could alone, else as folded normals about shrunken gaps."""
    read = scores.take(scores.readable)
    ones = np.full((1, len(read)), 1 / len(read))
    gaps = np.abs(totals(ones, read.bins, BINS, read.confidence - read.hits)[0])
    spread = np.sqrt(totals(ones / len(read), read.bins, BINS, read.confidence * (1 - read.confidence))[0])
    return lift_of_gaps(gaps, spread)


def lift_of_gaps(gaps: Floats, spread: Floats) -> float:
    """How far chance lifts the sum of absolute gaps (C,), each of which it spreads by a standard deviation (C,)."""
    gaps, spread = gaps[spread > 0], spread[spread > 0]
    by_chance = np.sqrt(2 / np.pi) * spread.sum() + 1.645 * np.sqrt((1 - 2 / np.pi) * np.square(spread).sum())
    if gaps.sum() <= by_chance:
        return float(gaps.sum())
    centre = np.sqrt(np.maximum(gaps**2 - spread**2, 0))
    z = centre / spread
    folded = spread * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + centre * erf(z / np.sqrt(2))
    return float((folded - centre).sum())


METRICS.register("nll")(Metric(nll, False, readable_only=True))
METRICS.register("brier")(Metric(brier, False, readable_only=True))
METRICS.register("ece")(Metric(ece, False, readable_only=True, bias=_ece_bias))
