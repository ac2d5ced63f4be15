"""The metrics: one pure function each, registered by name in `METRICS`, those of several labels in `LABEL_METRICS`."""

from linnaea.evidence.metrics import (
    decisions,
    label_decisions,
    label_probabilities,
    label_ranking,
    probabilities,
    ranking,
    tree_decisions,
    two_classes,
)
from linnaea.evidence.metrics.contract import LABEL_METRICS, METRICS, TREE_METRICS, Metric
from linnaea.evidence.metrics.kinds import metrics_for, metrics_of, scores_of
from linnaea.evidence.metrics.labels import LabelScores
from linnaea.evidence.metrics.scores import Judged, Scores
from linnaea.evidence.metrics.trees import TreeScores

__all__ = [
    "LABEL_METRICS",
    "METRICS",
    "TREE_METRICS",
    "Judged",
    "LabelScores",
    "Metric",
    "Scores",
    "TreeScores",
    "decisions",
    "label_decisions",
    "label_probabilities",
    "label_ranking",
    "metrics_for",
    "metrics_of",
    "probabilities",
    "ranking",
    "scores_of",
    "tree_decisions",
    "two_classes",
]
