"""How we know: evaluation, comparison and the intervals behind every figure."""

from typing import TYPE_CHECKING

from linnaea.runtime.lazily import lazily

if TYPE_CHECKING:
    from linnaea.evidence.comparison.two import Comparison, compare
    from linnaea.evidence.evaluation import Evaluation, figure_of, figures, findings, judge, write_evaluation
    from linnaea.evidence.metrics import METRICS

_EVALUATION = ("Evaluation", "figure_of", "figures", "findings", "judge", "write_evaluation")

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

__getattr__ = lazily(
    __name__,
    {
        "METRICS": "linnaea.evidence.metrics",
        **dict.fromkeys(("Comparison", "compare"), "linnaea.evidence.comparison.two"),
        **dict.fromkeys(_EVALUATION, "linnaea.evidence.evaluation"),
    },
)
