"""Metrics of the order that probabilities of a label put images in, over readable images; ties count exactly."""

from collections.abc import Iterable
from functools import partial

import numpy as np

from linnaea.arrays import Floats
from linnaea.evidence.metrics.contract import LABEL_METRICS, Metric, every_class
from linnaea.evidence.metrics.influence import Linear, Part, of_area, of_average_precision, over_classes
from linnaea.evidence.metrics.labels import LabelScores
from linnaea.evidence.metrics.ranking import area, in_blocks
from linnaea.evidence.metrics.scores import Ranking, mean_of_defined


def mean_average_precision(scores: LabelScores, weights: Floats) -> Floats:
    """The mean over labels of average precision, 0 to 1: the precision at each image that shows the label, averaged.

    Not interpolated; images of equal probability stand at one place. A label that no image shows, or every one, is left
    out, as is an image of which it is not known.
    """
    return mean_of_defined(average_precisions(scores, weights))


def roc_auc_macro(scores: LabelScores, weights: Floats) -> Floats:
    """The mean over labels of the chance that an image with the label has a higher probability of it than one without.

    0 to 1, ties count half (Fawcett 2006). A label that no image shows, or every one, is left out.
    """
    return mean_of_defined(areas(scores, weights))


def average_precisions(scores: LabelScores, weights: Floats) -> Floats:
    """The average precision of each label (B, K), NaN where no image shows it, or every one."""
    scores, weights = scores.readable_part(weights)
    return in_blocks(weights, [partial(average_precision, ranking) for ranking in scores.rankings])


def areas(scores: LabelScores, weights: Floats) -> Floats:
    """The area under the ROC curve of each label (B, K), NaN where no image shows it, or every one."""
    scores, weights = scores.readable_part(weights)
    return in_blocks(weights, [partial(area, ranking) for ranking in scores.rankings])


def average_precision(ranking: Ranking, columns: Floats) -> Floats:
    """The average precision of one class for weights (n, B), shape (B,)."""
    images, positives = len(ranking.order), len(ranking.positives)
    if not 0 < positives < images:
        return np.full(columns.shape[1], np.nan)
    above = np.zeros((images + 1, columns.shape[1]))
    np.take(columns, ranking.order[::-1], axis=0, out=above[1:])
    own = above[images - ranking.positives]
    np.cumsum(above, axis=0, out=above)
    found = np.zeros((positives + 1, columns.shape[1]))
    np.cumsum(own[::-1], axis=0, out=found[1:])
    # Each counts with all that are at least as probable.
    true = found[positives - np.searchsorted(ranking.positives, ranking.first)]
    named = above[images - ranking.first]
    precision = np.divide(true, named, out=np.zeros_like(true), where=named > 0)
    both = (found[-1] > 0) & (found[-1] < above[-1])
    mean: Floats = np.divide((own * precision).sum(axis=0), found[-1], out=np.full(len(both), np.nan), where=both)
    return mean


def behind_each(scores: LabelScores) -> Floats:
    """The images behind the order of each label (K,): those that show it, or those that do not, the fewer."""
    read = scores.take(scores.readable)
    there, known = read.there.sum(axis=0), read.known.sum(axis=0)
    fewer: Floats = np.minimum(there, known - there).astype(np.float64)
    return fewer


def _precision_parts(scores: LabelScores) -> tuple[Floats, Floats]:
    return average_precisions(scores, np.ones((1, len(scores))))[0], behind_each(scores)


def linear_of_labels(scores: LabelScores, part: Part, labels: Iterable[int] | None = None) -> Linear:
    """The mean of a part over these labels, or all, to first order; all images are readable."""
    chosen = range(scores.classes) if labels is None else labels
    rows = {number: np.flatnonzero(scores.known[:, number]) for number in chosen}
    members = ((scores.probabilities[own, k], scores.there[own, k], own) for k, own in rows.items())
    return over_classes(len(scores), members, part)


def _precision_linear(scores: LabelScores) -> Linear:
    return linear_of_labels(scores.take(scores.readable), of_average_precision).among(scores.readable)


def _area_linear(scores: LabelScores) -> Linear:
    return linear_of_labels(scores.take(scores.readable), of_area).among(scores.readable)


def _area_parts(scores: LabelScores) -> tuple[Floats, Floats]:
    return areas(scores, np.ones((1, len(scores))))[0], behind_each(scores)


LABEL_METRICS.register(
    "map", title="Mean average precision", meaning="Ranking quality, averaged over labels; 1 is perfect.", order=20
)(
    Metric(
        mean_average_precision,
        True,
        readable_only=True,
        parts=_precision_parts,
        enough=5,
        sorts=every_class,
        linear=_precision_linear,
    )
)
LABEL_METRICS.register(
    "roc_auc_macro",
    title="ROC AUC",
    meaning="Chance that an image with a label outranks one without, averaged over labels; 0.5 is guessing.",
    order=70,
)(Metric(roc_auc_macro, True, readable_only=True, parts=_area_parts, sorts=every_class, linear=_area_linear))
