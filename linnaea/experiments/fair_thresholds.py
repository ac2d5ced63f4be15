"""Thresholds of groups, fitted on val after calibration, and the same answers without them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from linnaea.arrays import Float64, Integers, Targets
from linnaea.classifier import load
from linnaea.dataset import Dataset
from linnaea.decisions import decide, in_groups
from linnaea.errors import UsageError
from linnaea.evidence.calibration import least_confidence
from linnaea.evidence.calibrator_choice import as_of_new_images
from linnaea.experiments.attempt import Material
from linnaea.experiments.conclusion import Calibrated
from linnaea.finding import Finding
from linnaea.learning.amounts import look_up
from linnaea.learning.fairness import FAIRNESS
from linnaea.learning.fairness.thresholds import LEAST
from linnaea.predictions import Predictions
from linnaea.run import Run
from linnaea.statistics.spread import Sample
from linnaea.task import TASKS


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


def thresholds_for(fair: str | None, by: str | None, material: Material) -> Callable[[Calibrated], Calibrated] | None:
    """What sets the thresholds of a calibrated classifier by the groups of the val images; None for other methods."""
    if not sets_thresholds(fair) or by is None or fair is None:
        return None
    method, _ = look_up(FAIRNESS, fair)
    values, targets = material.columns[by], material.val.targets
    units = Sample.of(len(material.val), material.columns.get("group")).unit_of

    def fit(ready: Calibrated) -> Calibrated:
        rows = [row for row, value in enumerate(values) if value is not None]
        names, codes = np.unique([str(values[row]) for row in rows], return_inverse=True)
        probabilities = _as_of_new(ready, targets, units)
        fitted = method.act(probabilities[rows, 1], targets[rows] == 1, codes)
        pairs = tuple((str(name), float(own)) for name, own in zip(names, fitted, strict=True) if np.isfinite(own))
        policy = replace(ready.classifier.policy, group_by=by if pairs else "", group_thresholds=pairs)
        decided = in_groups(ready.classifier.task, ready.classifier.classes, probabilities, policy, values)
        policy = replace(policy, confidence_threshold=least_confidence(decided.confidence, policy.unsure_rate))
        found = left_out(by, names[~np.isfinite(fitted)].tolist(), len(rows), any_left=bool(pairs))
        return replace(ready, classifier=ready.classifier.with_(policy=policy), findings=[*ready.findings, *found])

    return fit


def left_out(by: str, names: list[str], images: int, *, any_left: bool) -> list[Finding]:
    """A finding where groups have too few val images for a threshold of their own, or all but one have."""
    if not names:
        return []
    named = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    if any_left:
        what = f"{named} (by {by!r}) have no threshold of their own"
    else:
        what = f"No group by {by!r} has a threshold of its own ({named})"
    why = f"it takes {LEAST} val images of each class or more" + ("" if any_left else ", in two groups at least")
    summary = (
        f"{what}: {why}. The common threshold decides there, for which nothing was made equal. Collect more val images."
    )
    return [Finding("group_thresholds", summary, "warning", images)]


def _as_of_new(ready: Calibrated, targets: Targets, units: Integers) -> Float64:
    """Probabilities (N, 2) of the val images as of images that the calibrator does not know, as other thresholds."""
    raw = np.asarray(ready.classifier.score_features(ready.val_features).raw, dtype=np.float64)
    calibrator = ready.classifier.calibrator
    assert calibrator is not None, "it was calibrated"
    logits = as_of_new_images(calibrator, raw, targets, units)
    return np.asarray(TASKS["binary"].probabilities(logits), dtype=np.float64)


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
