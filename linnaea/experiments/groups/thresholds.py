"""Thresholds of groups, fitted on val after calibration, and what they do for images that they were not fitted to."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from linnaea.arrays import Flags, Float64, Floats, Integers, Targets
from linnaea.classifier import load
from linnaea.dataset import Dataset
from linnaea.decisions import Policy, decide, in_groups
from linnaea.errors import UsageError
from linnaea.evidence.calibration import least_confidence
from linnaea.evidence.calibrator_choice import FOLDS, as_of_new_images, dealt_folds
from linnaea.evidence.uncertainty import sample_of
from linnaea.experiments.attempt import Material
from linnaea.experiments.conclusion import Calibrated
from linnaea.experiments.groups.membership import FAIR_GROUP
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


def judged_apart(run: Run, fair: str, by: str) -> tuple[Predictions, Predictions] | None:
    """The val images as the common threshold decides them, and as thresholds for groups do that do not know them.

    The latter are fitted to four fifths of the val images and decide the rest, in turn, whole groups of images
    together: thresholds would look too good on the images that they were fitted to. None where the images come from
    too few groups for that.
    """
    known, classifier = run.predictions("val"), load(run.model_folder)
    read = np.flatnonzero(known.readable)
    units, targets = sample_of(known).unit_of[read], known.targets[read]
    if len(np.unique(units)) < FOLDS:
        return None
    assert classifier.calibrator is not None, "it was calibrated"
    logits = as_of_new_images(classifier.calibrator, known.scores("raw_scores")[read], targets, units)
    probabilities = np.asarray(TASKS["binary"].probabilities(logits), dtype=np.float64)
    told = known.column(by if known.has(by) else FAIR_GROUP)
    values = [None if told[row] is None else str(told[row]) for row in read.tolist()]
    policy = replace(classifier.policy, group_by="", group_thresholds=())
    plain = decide(known.task, known.classes, probabilities, policy)
    act = look_up(FAIRNESS, fair)[0].act
    fair_labels = cross_fitted(act, policy, known.classes, probabilities, targets, values, units)
    return _answering(known, read, plain.labels), _answering(known, read, fair_labels)


def cross_fitted(
    act: Callable[[Floats, Flags, Integers], Floats],
    policy: Policy,
    classes: Sequence[str],
    probabilities: Floats,
    targets: Targets,
    values: Sequence[str | None],
    units: Integers,
) -> list[Any]:
    """The answers to images (n,) by thresholds of groups that were fitted to the other folds, whole `units` together.

    `act` fits the thresholds to the probabilities (m,) of the second class, whether it is true (m,), and groups (m,).
    Images without a group among the `values` (n,) are decided by the common threshold of the `policy`.
    """
    known = np.array([value is not None for value in values])
    names, codes = np.unique([value or "" for value in values], return_inverse=True)
    labels: list[Any] = [None] * len(values)
    folds = dealt_folds(codes * 2 + targets, units, 0)
    for fold in range(FOLDS):
        own, others = np.flatnonzero(folds == fold), np.flatnonzero((folds != fold) & known)
        fitted = act(probabilities[others, 1], targets[others] == 1, codes[others])
        pairs = tuple((str(names[code]), float(value)) for code, value in enumerate(fitted) if np.isfinite(value))
        there = replace(policy, group_thresholds=pairs)
        decided = in_groups("binary", classes, probabilities[own], there, [values[row] for row in own.tolist()])
        for row, label in zip(own.tolist(), decided.labels, strict=True):
            labels[row] = label
    return labels


def _answering(known: Predictions, read: Integers, labels: Sequence[Any]) -> Predictions:
    """The same predictions with other labels of the images that were `read`."""
    answers = known.column("label")
    for row, label in zip(read.tolist(), labels, strict=True):
        answers[row] = label
    place = known.table.column_names.index("label")
    return known.with_table(known.table.set_column(place, "label", pa.array(answers, pa.string())))
