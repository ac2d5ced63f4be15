"""Metrics of a yes-or-no question: of two classes the second is the positive one; unreadable images are not found."""

from collections.abc import Callable

import numpy as np

from linnaea.arrays import Flags, Floats
from linnaea.evidence.metrics.contract import METRICS, Metric
from linnaea.evidence.metrics.influence import Linear, of_average_precision, over_classes
from linnaea.evidence.metrics.label_ranking import average_precision as of_ranking
from linnaea.evidence.metrics.ranking import in_blocks
from linnaea.evidence.metrics.scores import Scores, ratio

POSITIVE = 1
Counted = Callable[[Scores], Flags]


def sensitivity(scores: Scores, weights: Floats) -> Floats:
    """The share of the positive images that are answered so, 0 to 1; also called recall."""
    return _share(scores, weights, positives)


def specificity(scores: Scores, weights: Floats) -> Floats:
    """The share of the negative images that are answered so, 0 to 1."""
    return _share(scores, weights, negatives)


def ppv(scores: Scores, weights: Floats) -> Floats:
    """The positive predictive value: the share of positive answers that are right, 0 to 1; also called precision."""
    return _share(scores, weights, answered_yes)


def npv(scores: Scores, weights: Floats) -> Floats:
    """The negative predictive value: the share of negative answers that are right, 0 to 1."""
    return _share(scores, weights, answered_no)


def average_precision(scores: Scores, weights: Floats) -> Floats:
    """The precision at each positive image, averaged, 0 to 1; not interpolated (Saito and Rehmsmeier 2015)."""
    scores, weights = scores.readable_part(weights)
    return in_blocks(weights, [lambda columns: of_ranking(scores.rankings[POSITIVE], columns)])[:, 0]


def positives(scores: Scores) -> Flags:
    """The images of the positive class (n,)."""
    return np.asarray(scores.targets == POSITIVE)


def negatives(scores: Scores) -> Flags:
    """The images of the other class (n,)."""
    return np.asarray(scores.targets != POSITIVE)


def answered_yes(scores: Scores) -> Flags:
    """The images answered as positive (n,)."""
    return np.asarray(scores.answers == POSITIVE)


def answered_no(scores: Scores) -> Flags:
    """The images answered as negative (n,)."""
    return np.asarray(scores.answers == 1 - POSITIVE)


def _share(scores: Scores, weights: Floats, counted: Counted) -> Floats:
    chosen = counted(scores)
    return ratio(weights @ (scores.hits & chosen).astype(np.float64), weights @ chosen.astype(np.float64))


def _of_two(scores: Scores) -> bool:
    return scores.classes == 2


def _metric(function: Callable[[Scores, Floats], Floats], counted: Counted) -> Metric[Scores]:
    def parts(scores: Scores) -> tuple[Floats, Floats]:
        return function(scores, np.ones((1, len(scores)))), np.array([float(counted(scores).sum())])

    return Metric(function, True, needs=_of_two, share=lambda scores: (scores.hits, counted(scores)), parts=parts)


def _precision_parts(scores: Scores) -> tuple[Floats, Floats]:
    read = scores.take(scores.readable)
    fewer = min(int(positives(read).sum()), int(negatives(read).sum()))
    return average_precision(scores, np.ones((1, len(scores)))), np.array([float(fewer)])


METRICS.register(
    "sensitivity",
    title="Sensitivity",
    meaning="Share of the positive class that is found; also called recall.",
    order=120,
    share=True,
)(_metric(sensitivity, positives))
METRICS.register(
    "specificity",
    title="Specificity",
    meaning="Share of the negative class that is not flagged.",
    order=130,
    share=True,
)(_metric(specificity, negatives))
METRICS.register(
    "ppv",
    title="Positive predictive value",
    meaning="Share of positive answers that are right.",
    order=140,
    share=True,
    detail=True,
)(_metric(ppv, answered_yes))
METRICS.register(
    "npv",
    title="Negative predictive value",
    meaning="Share of negative answers that are right.",
    order=150,
    share=True,
    detail=True,
)(_metric(npv, answered_no))


def _precision_linear(scores: Scores) -> Linear:
    read = scores.take(scores.readable)
    member = (read.probabilities[:, POSITIVE], positives(read), slice(None))
    return over_classes(len(read), [member], of_average_precision).among(scores.readable)


METRICS.register(
    "average_precision",
    title="Average precision",
    meaning="Precision at each positive, averaged; 1 is perfect.",
    order=160,
    detail=True,
)(
    Metric(
        average_precision,
        True,
        needs=_of_two,
        readable_only=True,
        parts=_precision_parts,
        sorts=len,
        linear=_precision_linear,
    )
)
