"""Which metrics there are for what was answered: one label per image, or several."""

from typing import Any, cast

from linnaea.evidence.metrics.contract import LABEL_METRICS, METRICS, Metric, S
from linnaea.evidence.metrics.labels import LabelScores
from linnaea.evidence.metrics.scores import Judged, Scores
from linnaea.predictions import Predictions
from linnaea.registry import Registry
from linnaea.task import TASKS


def scores_of(predictions: Predictions) -> Judged:
    """What the task's metrics read of the predictions; raises DataError for an image without truth."""
    return LabelScores.of(predictions) if predictions.rules.multilabel else Scores.of(predictions)


def metrics_for(task: str) -> Registry[Metric[Any]]:
    """The metrics of a task, by name; one name may stand for the same idea with one label and with several."""
    return LABEL_METRICS if TASKS[task].multilabel else METRICS


def metrics_of(scores: S) -> dict[str, Metric[S]]:
    """The metrics that apply to the scores, by name."""
    family = cast("Registry[Metric[S]]", LABEL_METRICS if isinstance(scores, LabelScores) else METRICS)
    return {name: metric for name, metric in family.items() if metric.needs(scores)}
