"""Metrics of the probabilities of labels, over readable images and all that is known of them."""

import numpy as np

from linnaea.arrays import Floats, Integers
from linnaea.evidence.metrics.contract import LABEL_METRICS, Metric
from linnaea.evidence.metrics.gaps import interval_of_gaps
from linnaea.evidence.metrics.labels import LabelScores
from linnaea.evidence.metrics.scores import BINS, ratio


def nll(scores: LabelScores, weights: Floats) -> Floats:
    """The mean over all decisions of the negative natural logarithm of the probability given to what is true.

    0 and above, lower is better. Exact from the logits where the probabilities are their sigmoid; else no probability
    counts as less than the smallest normal float32, about 1e-38.
    """
    return _mean(-scores.log_likelihood, scores, weights)


def brier(scores: LabelScores, weights: Floats) -> Floats:
    """The mean over all decisions of the squared error of the probability, 0 to 1; lower is better (Brier 1950)."""
    return _mean(np.square(scores.probabilities - scores.targets), scores, weights)


def ece(scores: LabelScores, weights: Floats) -> Floats:
    """The mean gap between a label's probability and how often it is there, over 15 bins of equal width, 0 to 1."""
    scores, weights = scores.readable_part(weights)
    gaps = weights @ by_bin(scores, scores.probabilities - scores.targets)
    return ratio(np.abs(gaps).sum(axis=1), weights @ scores.known.sum(axis=1).astype(np.float64))


def by_bin(scores: LabelScores, values: Floats) -> Floats:
    """The sums of values (n, K) over each image's labels in each bin of probability (n, BINS)."""
    rows, _ = np.nonzero(scores.bins >= 0)
    places = rows * BINS + scores.bins[scores.bins >= 0]
    summed = np.bincount(places, weights=values[scores.bins >= 0], minlength=len(scores) * BINS)
    return summed.reshape(len(scores), BINS).astype(np.float64)


def _mean(values: Floats, scores: LabelScores, weights: Floats) -> Floats:
    used = scores.known & scores.readable[:, None]
    sums, counts = np.where(used, values, 0.0).sum(axis=1), used.sum(axis=1).astype(np.float64)
    return ratio(weights @ sums, weights @ counts)


def _ece_interval(scores: LabelScores, units: Integers) -> tuple[float, float]:
    rows, labels = np.nonzero(scores.bins >= 0)
    stated, there = scores.probabilities[rows, labels], scores.there[rows, labels]
    return interval_of_gaps(scores.bins[rows, labels], stated, there, units[rows])


LABEL_METRICS.register(
    "nll",
    title="Log loss",
    meaning="Surprise at the truth, in nats; 0 is perfect, one sure mistake costs a lot.",
    order=260,
    bounded=False,
    detail=True,
)(Metric(nll, False, readable_only=True, bounds=(0.0, np.inf)))
LABEL_METRICS.register(
    "brier",
    title="Brier score",
    meaning="Squared distance from probabilities to truth; lower is better.",
    order=270,
    bounded=False,
    detail=True,
)(Metric(brier, False, readable_only=True))
LABEL_METRICS.register(
    "ece",
    title="Calibration error",
    meaning="How far stated confidence lies from the share that is right; lower is better.",
    order=280,
    share=True,
)(Metric(ece, False, readable_only=True, interval=_ece_interval))
