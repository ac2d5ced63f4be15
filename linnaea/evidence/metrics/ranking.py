"""Metrics of the order that scores put images in, over the readable images; ties count exactly."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from scipy.special import digamma

from linnaea.arrays import Floats
from linnaea.evidence.metrics import against
from linnaea.evidence.metrics.contract import METRICS, Metric
from linnaea.evidence.metrics.influence import Linear, of_area, of_risk_coverage, over_classes
from linnaea.evidence.metrics.scores import Ranking, Scores, mean_of_defined, ratio, totals

_COLUMNS = 16
_DIGAMMA = 200  # weights that are sorted in the time that a resample takes per image


def roc_auc_ovr(scores: Scores, weights: Floats) -> Floats:
    """The mean over classes of the chance that an image of the class has a higher probability of it than another.

    0 to 1, one class against the rest, ties count half (Fawcett 2006). A class without images or without others is
    left out. Of two classes only the second is used, as both tell the same.
    """
    return mean_of_defined(_areas(scores, weights))


def aurc(scores: Scores, weights: Floats) -> Floats:
    """The area under the risk-coverage curve, 0 to 1, lower is better (Geifman and El-Yaniv 2017).

    The mean over j of the share of mistakes among the j most confident images. Images of equal confidence come in
    random order, and the expectation over these orders is returned.
    """
    scores, weights = scores.readable_part(weights)
    levels, places = scores.levels
    seen = totals(weights, places, levels)
    wrong = totals(weights, places, levels, ~scores.hits)
    ends = np.pad(seen.cumsum(axis=1), ((0, 0), (1, 0)))
    before, wrong_before = ends[:, :-1], wrong.cumsum(axis=1) - wrong
    # Sum over j of (wrong_before + j * rate) / (before + j), j from 1 to seen, by harmonic numbers.
    rate = np.divide(wrong, seen, out=np.zeros_like(wrong), where=seen > 0)
    harmonic = np.diff(digamma(ends + 1), axis=1)
    areas = wrong + (wrong_before - rate * before) * harmonic
    # Cancellation may leave a trace below zero where there is no mistake at all.
    return ratio(np.maximum(areas.sum(axis=1), 0.0), weights.sum(axis=1))


def _areas(scores: Scores, weights: Floats) -> Floats:
    scores, weights = scores.readable_part(weights)
    if scores.classes > 2 and against.pays(len(scores), scores.classes):
        return against.areas(scores, weights)
    rankings = scores.rankings[1:] if scores.classes == 2 else scores.rankings
    return in_blocks(weights, [partial(area, ranking) for ranking in rankings])


def in_blocks(weights: Floats, functions: Sequence[Callable[[Floats], Floats]]) -> Floats:
    """What each function says of weights (n, b), a few columns at a time: they stay in the processor's cache (B, C)."""
    blocks = (np.ascontiguousarray(weights[start : start + _COLUMNS].T) for start in range(0, len(weights), _COLUMNS))
    return np.concatenate([np.stack([function(block) for function in functions], axis=1) for block in blocks])


def area(ranking: Ranking, columns: Floats) -> Floats:
    """The area under the ROC curve of one class for weights (n, B), shape (B,)."""
    images = len(ranking.order)
    if not 0 < len(ranking.positives) < images:
        return np.full(columns.shape[1], np.nan)
    negatives = np.zeros((images + 1, columns.shape[1]))
    np.take(columns, ranking.order, axis=0, out=negatives[1:])
    positives = negatives[ranking.positives + 1]
    negatives[ranking.positives + 1] = 0
    np.cumsum(negatives, axis=0, out=negatives)
    below = (negatives[ranking.first] + negatives[ranking.behind]) / 2
    return ratio((positives * below).sum(axis=0), positives.sum(axis=0) * negatives[-1])


def _area_parts(scores: Scores) -> tuple[Floats, Floats]:
    read, ones = scores.readable_part(np.ones((1, len(scores))))
    areas, images = _areas(read, ones)[0], totals(ones, read.targets, read.classes)[0]
    return areas, np.minimum(images, len(read) - images)[-len(areas) :]


def _aurc_parts(scores: Scores) -> tuple[Floats, Floats]:
    return aurc(scores, np.ones((1, len(scores)))), np.array([float(scores.readable.sum())])


def _area_linear(scores: Scores) -> Linear:
    read = scores.take(scores.readable)
    classes = [1] if read.classes == 2 else range(read.classes)
    members = ((read.probabilities[:, k], read.targets == k, slice(None)) for k in classes)
    return over_classes(len(read), members, of_area).among(scores.readable)


def _aurc_linear(scores: Scores) -> Linear:
    read = scores.take(scores.readable)
    return of_risk_coverage(*read.levels, read.hits).among(scores.readable)


METRICS.register(
    "roc_auc_ovr",
    title="ROC AUC",
    meaning="Chance that an image of a class outranks one that is not; 0.5 is guessing.",
    order=60,
)(
    Metric(
        roc_auc_ovr,
        True,
        readable_only=True,
        parts=_area_parts,
        sorts=against.cost,
        linear=_area_linear,
    )
)
METRICS.register(
    "aurc",
    title="Risk over coverage",
    meaning="Error left when the least sure answers are set aside first; lower is better.",
    order=290,
    detail=True,
)(
    Metric(
        aurc,
        False,
        readable_only=True,
        parts=_aurc_parts,
        sorts=lambda scores: len(scores) * _DIGAMMA,
        linear=_aurc_linear,
    )
)
