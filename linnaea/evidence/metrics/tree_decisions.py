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


TREE_METRICS.register(
    "hierarchical_precision",
    title="Hierarchical precision",
    meaning="Share of the nodes named, each answer with all above it, that are true.",
    order=210,
    detail=True,
)(Metric(hierarchical_precision, True, parts=_whole(hierarchical_precision)))
TREE_METRICS.register(
    "hierarchical_recall",
    title="Hierarchical recall",
    meaning="Share of the true nodes, each with all above it, named.",
    order=220,
    detail=True,
)(Metric(hierarchical_recall, True, parts=_whole(hierarchical_recall)))
TREE_METRICS.register(
    "hierarchical_f1", title="Hierarchical F1", meaning="Balance of the two; 1 is perfect.", order=230
)(Metric(hierarchical_f1, True, parts=_whole(hierarchical_f1)))
TREE_METRICS.register(
    "information",
    title="Information",
    meaning="How deep the right answers go, as a share of the way to the class; wrong ones count nothing.",
    order=180,
    detail=True,
)(Metric(information, True, parts=_whole(information)))
TREE_METRICS.register(
    "risk",
    title="Wrong answers",
    meaning="Share of images whose answer is neither their class nor above it.",
    order=170,
    share=True,
    detail=True,
)(Metric(risk, False, readable_only=True, flags=lambda scores: scores.wrong))
TREE_METRICS.register(
    "answer_depth",
    title="Depth of the answers",
    meaning="Levels below the root, on average; 0 is no answer.",
    order=190,
    bounded=False,
    detail=True,
)(Metric(answer_depth, True, readable_only=True, bounds=(0.0, np.inf)))
TREE_METRICS.register(
    "mistake_severity",
    title="Severity of mistakes",
    meaning="Height of the lowest group that holds both truth and likeliest class, over the mistakes; 1 is mildest.",
    order=240,
    bounded=False,
    detail=True,
)(Metric(mistake_severity, False, readable_only=True, bounds=(0.0, np.inf)))
TREE_METRICS.register(
    "tree_distance",
    title="Distance in the tree",
    meaning="Steps from the likeliest class to the truth, on average.",
    order=250,
    bounded=False,
    detail=True,
)(Metric(tree_distance, False, readable_only=True, bounds=(0.0, np.inf)))
TREE_METRICS.register(
    "top_level_accuracy",
    title="Top-level accuracy",
    meaning="Share of images put into the right top group.",
    order=200,
    share=True,
)(Metric(top_level_accuracy, True, flags=lambda scores: scores.level_hits(1)))
