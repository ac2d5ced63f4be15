"""Metrics of answers in a taxonomy: how deep they go, how often they are wrong, and how far mistakes lie off."""

from collections.abc import Callable

import numpy as np

from linnaea.arrays import Floats
from linnaea.evidence.metrics.contract import TREE_METRICS, Metric
from linnaea.evidence.metrics.scores import ratio
from linnaea.evidence.metrics.trees import TreeScores

Function = Callable[[TreeScores, Floats], Floats]


def hierarchical_precision(scores: TreeScores, weights: Floats) -> Floats:
    """Of all nodes that the answers name, each with what lies above it, the share that are true (Kiritchenko 2006)."""
    return ratio(weights @ scores.shared, weights @ scores.depth)


def hierarchical_recall(scores: TreeScores, weights: Floats) -> Floats:
    """Of all true nodes, each class with what lies above it, the share that the answers name (Kiritchenko 2006)."""
    return ratio(weights @ scores.shared, weights @ scores.true_depth)


def hierarchical_f1(scores: TreeScores, weights: Floats) -> Floats:
    """The harmonic mean of hierarchical precision and recall, 0 to 1 (Kiritchenko et al. 2006)."""
    return ratio(2 * (weights @ scores.shared), weights @ (scores.depth + scores.true_depth))


def information(scores: TreeScores, weights: Floats) -> Floats:
    """The mean depth of right answers as a share of that of the class, 0 to 1; 0 for a wrong one or none."""
    return ratio(weights @ scores.information, weights.sum(axis=1))


def risk(scores: TreeScores, weights: Floats) -> Floats:
    """The share of readable images whose answer is wrong, that is not a group of the truth, 0 to 1."""
    scores, weights = scores.readable_part(weights)
    return ratio(weights @ scores.wrong.astype(np.float64), weights.sum(axis=1))


def answer_depth(scores: TreeScores, weights: Floats) -> Floats:
    """The mean depth of the answers to readable images, 0 where nothing was said; right or wrong."""
    scores, weights = scores.readable_part(weights)
    return ratio(weights @ scores.depth, weights.sum(axis=1))


def mistake_severity(scores: TreeScores, weights: Floats) -> Floats:
    """How high the lowest group lies that holds both the truth and the most probable class, over the mistakes.

    A mean of heights, 1 and above, where a group's height is the depth below it (Bertinetto et al. 2020); readable
    images only, and not defined without a mistake.
    """
    return ratio(weights @ scores.heights_off, weights @ (scores.heights_off > 0))


def tree_distance(scores: TreeScores, weights: Floats) -> Floats:
    """The mean number of steps in the tree from the most probable class to the truth, right answers included."""
    scores, weights = scores.readable_part(weights)
    return ratio(weights @ scores.steps_off, weights.sum(axis=1))


def top_level_accuracy(scores: TreeScores, weights: Floats) -> Floats:
    """The share of images whose most probable group at the top of the tree is the right one, 0 to 1."""
    return ratio(weights @ scores.level_hits(1).astype(np.float64), weights.sum(axis=1))


def _whole(function: Function) -> Callable[[TreeScores], tuple[Floats, Floats]]:
    """The figure as the only part of a mean: so that a perfect one is not treated as certain."""

    def parts(scores: TreeScores) -> tuple[Floats, Floats]:
        return function(scores, np.ones((1, len(scores)))), np.array([float(len(scores))])

    return parts


for _function in (hierarchical_precision, hierarchical_recall, hierarchical_f1, information):
    TREE_METRICS.register(_function.__name__)(Metric(_function, True, parts=_whole(_function)))
TREE_METRICS.register("risk")(Metric(risk, False, readable_only=True, flags=lambda scores: scores.wrong))
TREE_METRICS.register("answer_depth")(Metric(answer_depth, True, readable_only=True, bounds=(0.0, np.inf)))
TREE_METRICS.register("mistake_severity")(Metric(mistake_severity, False, readable_only=True, bounds=(0.0, np.inf)))
TREE_METRICS.register("tree_distance")(Metric(tree_distance, False, readable_only=True, bounds=(0.0, np.inf)))
TREE_METRICS.register("top_level_accuracy")(Metric(top_level_accuracy, True, flags=lambda scores: scores.level_hits(1)))
