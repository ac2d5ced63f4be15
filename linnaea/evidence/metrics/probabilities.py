"""Metrics of the probabilities, over the readable images."""

import numpy as np

from linnaea.arrays import Floats, Integers
from linnaea.evidence.metrics.contract import METRICS, Metric
from linnaea.evidence.metrics.gaps import interval_of_gaps
from linnaea.evidence.metrics.scores import BINS, Scores, ratio, totals


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


def _ece_interval(scores: Scores, units: Integers) -> tuple[float, float]:
    read = scores.readable
    return interval_of_gaps(scores.bins[read], scores.confidence[read], scores.hits[read], units[read])


METRICS.register(
    "nll",
    title="Log loss",
    meaning="Surprise at the truth, in nats; 0 is perfect, one sure mistake costs a lot.",
    order=260,
    bounded=False,
    detail=True,
)(Metric(nll, False, readable_only=True, bounds=(0.0, np.inf)))
METRICS.register(
    "brier",
    title="Brier score",
    meaning="Squared distance from probabilities to truth; lower is better.",
    order=270,
    bounded=False,
    detail=True,
)(Metric(brier, False, readable_only=True, bounds=(0.0, 2.0)))
METRICS.register(
    "ece",
    title="Calibration error",
    meaning="How far stated confidence lies from the share that is right; lower is better.",
    order=280,
    share=True,
)(Metric(ece, False, readable_only=True, interval=_ece_interval))
