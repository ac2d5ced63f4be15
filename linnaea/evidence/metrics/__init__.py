"""The metrics: one pure function each, registered by name in `METRICS`, those of several labels in `LABEL_METRICS`."""

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
    "metrics_for",
    "metrics_of",
    "scores_of",
]
