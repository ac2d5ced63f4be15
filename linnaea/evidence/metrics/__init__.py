"""The metrics: one pure function each, registered by name in `METRICS`."""

from linnaea.evidence.metrics import decisions, probabilities, ranking
from linnaea.evidence.metrics.contract import METRICS, Metric
from linnaea.evidence.metrics.scores import Scores

__all__ = ["METRICS", "Metric", "Scores", "decisions", "probabilities", "ranking"]
