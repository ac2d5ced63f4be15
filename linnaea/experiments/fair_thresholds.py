"""Thresholds of groups, fitted on val after calibration, and the same answers without them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from linnaea.classifier import Classifier, load
from linnaea.dataset import Dataset
from linnaea.decisions import decide
from linnaea.errors import UsageError
from linnaea.experiments.attempt import Material
from linnaea.experiments.conclusion import Calibrated
from linnaea.learning.amounts import look_up
from linnaea.learning.fairness import FAIRNESS
from linnaea.predictions import Predictions
from linnaea.run import Run


def require_thresholds_for_groups(dataset: Dataset, fair: str | None, by: str | None, aim: str | None) -> None:
    """Raise UsageError where a method that sets thresholds for groups does not fit the data or another aim."""
    if not sets_thresholds(fair) or by is None:
        return
    if dataset.task != "binary":
        raise UsageError(
            f"the fairness method {fair!r} sets thresholds between two classes, and the task is {dataset.task}."
        )
    if aim is not None:
        raise UsageError(f"--aim {aim} and --fair {fair} both choose the threshold: leave one of them out.")
    if not pa.types.is_string(dataset.table.schema.field(by).type):
        raise UsageError(
            f"{by} holds numbers or dates, and a threshold is for each of a few values: give a column of texts, such "
            "as 'young' and 'old'."
        )


def sets_thresholds(fair: str | None) -> bool:
    """Whether the method acts on thresholds alone."""
    return fair is not None and look_up(FAIRNESS, fair)[0].acts_on == "thresholds"


def thresholds_for(fair: str | None, by: str | None, material: Material) -> Callable[[Calibrated], Classifier] | None:
    """What sets the thresholds of a calibrated classifier by the groups of the val images; None for other methods."""
    if not sets_thresholds(fair) or by is None or fair is None:
        return None
    method, _ = look_up(FAIRNESS, fair)

    def fit(ready: Calibrated) -> Classifier:
        values = material.columns[by]
        rows = [row for row, value in enumerate(values) if value is not None]
        names, codes = np.unique([str(values[row]) for row in rows], return_inverse=True)
        outputs = ready.classifier.score_features(ready.val_features)
        fitted = method.act(outputs.probabilities[rows, 1], material.val.targets[rows] == 1, codes)
        pairs = tuple(zip(names.tolist(), map(float, fitted), strict=True))
        return ready.classifier.with_(policy=replace(ready.classifier.policy, group_by=by, group_thresholds=pairs))

    return fit


def without_thresholds(run: Run) -> Predictions:
    """What the run's classifier said of the val images, decided by the common threshold."""
    known, policy = run.predictions("val"), load(run.model_folder).policy
    read = np.flatnonzero(known.readable)
    labels = known.column("label")
    decided = decide(known.task, known.classes, known.scores()[read], replace(policy, group_thresholds=()))
    for row, label in zip(read.tolist(), decided.labels, strict=True):
        labels[row] = label
    place = known.table.column_names.index("label")
    return known.with_table(known.table.set_column(place, "label", pa.array(labels, pa.string())))
