"""Which metrics there are for what was answered: one label per image, or several."""

from typing import Any, cast

from linnaea.evidence.metrics.contract import LABEL_METRICS, METRICS, TREE_METRICS, Metric, S
from linnaea.evidence.metrics.labels import LabelScores
from linnaea.evidence.metrics.scores import Judged, Scores
from linnaea.evidence.metrics.trees import TreeScores
from linnaea.predictions import Predictions
from linnaea.registry import Registry
from linnaea.task import TASKS


def scores_of(predictions: Predictions) -> Judged:
    """What the task's metrics read of the predictions; raises DataError for an image without truth."""
    if predictions.rules.multilabel:
        return LabelScores.of(predictions)
    return TreeScores.of(predictions) if predictions.rules.hierarchical else Scores.of(predictions)


def metrics_for(task: str) -> Registry[Metric[Any]]:
    """The metrics that models of a task may be chosen by; a name may mean the same with one label and with several."""
    return LABEL_METRICS if TASKS[task].multilabel else METRICS


def metrics_of(scores: S) -> dict[str, Metric[S]]:
    """The metrics that apply to the scores, by name; with a taxonomy its own come after those of the classes."""
    families: list[Registry[Any]] = [LABEL_METRICS if isinstance(scores, LabelScores) else METRICS]
    families += [TREE_METRICS] if isinstance(scores, TreeScores) else []
    known = cast("list[tuple[str, Metric[S]]]", [item for family in families for item in family.items()])
    return {name: metric for name, metric in known if metric.needs(scores)}
