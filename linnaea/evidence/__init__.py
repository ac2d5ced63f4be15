"""How we know: evaluation, comparison and the intervals behind every figure."""

from linnaea.evidence.comparison import Comparison, compare
from linnaea.evidence.evaluation import Evaluation, figure_of, figures, findings, judge, write_evaluation
from linnaea.evidence.metrics import METRICS

__all__ = [
    "METRICS",
    "Comparison",
    "Evaluation",
    "compare",
    "figure_of",
    "figures",
    "findings",
    "judge",
    "write_evaluation",
]
