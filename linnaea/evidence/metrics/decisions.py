"""Metrics of the answers themselves; an unreadable image counts as a wrong answer."""

import numpy as np

from linnaea.arrays import Flags, Floats
from linnaea.evidence.metrics.contract import METRICS, Function, Metric, Parts
from linnaea.evidence.metrics.scores import Scores, mean_of_defined, ratio, totals


def accuracy(scores: Scores, weights: Floats) -> Floats:
    """The share of images answered correctly, 0 to 1."""
    return _share(scores.hits, weights)


def top5_accuracy(scores: Scores, weights: Floats) -> Floats:
    """The share of images whose true class is among the five most probable, 0 to 1; the earlier class wins a tie."""
    return _share(_among_first_five(scores), weights)


def balanced_accuracy(scores: Scores, weights: Floats) -> Floats:
    """The mean over classes of the share of their images answered correctly, 0 to 1 (Brodersen et al. 2010)."""
    return mean_of_defined(_recalls(scores, weights))


def f1_macro(scores: Scores, weights: Floats) -> Floats:
    """The mean over classes of F1, 0 to 1; a class that is neither truth nor answer of any image is left out."""
    return mean_of_defined(_f1(scores, weights))


def _share(flags: Flags, weights: Floats) -> Floats:
    return ratio(weights @ flags.astype(np.float64), weights.sum(axis=1))


def _among_first_five(scores: Scores) -> Flags:
    return np.asarray((scores.place < 5) & scores.readable)


def _recalls(scores: Scores, weights: Floats) -> Floats:
    return ratio(
        totals(weights, scores.targets, scores.classes, scores.hits), totals(weights, scores.targets, scores.classes)
    )


def _f1(scores: Scores, weights: Floats) -> Floats:
    right = totals(weights, scores.targets, scores.classes, scores.hits)
    truths = totals(weights, scores.targets, scores.classes)
    return ratio(2 * right, truths + totals(weights, scores.answers, scores.classes))


def _ones(scores: Scores) -> Floats:
    return np.ones((1, len(scores)))


def _by_class(function: Function[Scores]) -> Parts[Scores]:
    def parts(scores: Scores) -> tuple[Floats, Floats]:
        images = totals(_ones(scores), scores.targets, scores.classes)
        answered = totals(_ones(scores), scores.answers, scores.classes)
        return function(scores, _ones(scores))[0], np.where(images > 0, images, answered)[0]

    return parts


METRICS.register(
    "accuracy",
    title="Accuracy",
    meaning="Share of images named correctly.",
    order=10,
    share=True,
    in_tree="Share of images whose most probable class is right.",
)(Metric(accuracy, True, flags=lambda scores: scores.hits))
METRICS.register(
    "balanced_accuracy",
    title="Balanced accuracy",
    meaning="Accuracy averaged over classes: a rare class counts as much as a common one.",
    order=30,
    share=True,
)(Metric(balanced_accuracy, True, parts=_by_class(_recalls)))
METRICS.register(
    "f1_macro",
    title="Macro F1",
    meaning="Balance of precision and recall, averaged over classes; 1 is perfect.",
    order=40,
)(Metric(f1_macro, True, parts=_by_class(_f1), enough=2))
METRICS.register(
    "top5_accuracy",
    title="Top-5 accuracy",
    meaning="Share of images with the truth among the five likeliest.",
    order=50,
    share=True,
)(Metric(top5_accuracy, True, needs=lambda scores: scores.classes > 10, flags=_among_first_five))
