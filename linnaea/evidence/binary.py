"""The tables of a yes-or-no question: both curves, and thresholds for each aim with what they would do."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from linnaea.decisions import Policy
from linnaea.errors import UsageError
from linnaea.evidence.aims import AIMS
from linnaea.evidence.curves import Curve, curve_findings
from linnaea.evidence.metrics import METRICS, Scores
from linnaea.evidence.metrics.two_classes import POSITIVE, answered_yes
from linnaea.evidence.tables import percent
from linnaea.evidence.thresholds import HALF, fit_thresholds
from linnaea.evidence.uncertainty import of_metric, sample_of
from linnaea.finding import Estimate, Finding
from linnaea.predictions import Predictions
from linnaea.statistics.intervals import REPLICATES, estimate
from linnaea.statistics.spread import Sample

FIGURES = ("sensitivity", "specificity", "ppv", "npv")


def findings(
    predictions: Predictions,
    scores: Scores,
    policy: Policy | None = None,
    *,
    tuned_on: Predictions | None = None,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> list[Finding]:
    """The findings `roc`, `precision_recall` and `operating_points`.

    `policy` is the one that decided, where it is known; `tuned_on` are the predictions on val, by which the thresholds
    of other aims are chosen (None: by these very images, which is too good). Only the last where all readable images
    are of one class.
    """
    sample, curve = sample_of(predictions), Curve.of(scores)
    name = predictions.classes[POSITIVE]
    used = _point(scores, sample, None, seed, replicates) | {"threshold": _threshold(policy)}
    aim = (policy.aim if policy else "") or "default"
    others = _of_other_aims(aim, scores, sample, tuned_on or predictions, seed, replicates)
    points = _operating_points(name, {"aim": aim, "in_use": True, **used, "note": ""}, others, tuned_on is not None)
    if not curve.defined:
        return [points]
    return [*curve_findings(curve, used, sample, name, seed=seed, replicates=replicates), points]


def _operating_points(name: str, own: dict[str, Any], others: Sequence[dict[str, Any]], apart: bool) -> Finding:
    summary = (
        f"{name} is the positive class: {_said(own, 'sensitivity')} of its images are found, "
        f"{_said(own, 'specificity')} of the negatives are correctly rejected. Thresholds of other aims were chosen on "
        f"{'val' if apart else 'these very images, which makes their figures too good'}."
    )
    return Finding("operating_points", summary, count=own["images"], rows=[own, *others])


def _of_other_aims(
    aim: str, scores: Scores, sample: Sample, tuned_on: Predictions, seed: int, replicates: int
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for text in (member.example or known for known, member in AIMS.items()):
        if text != aim:
            threshold, note = _fitted(text, tuned_on)
            figures = _point(scores, sample, threshold, seed, replicates) if threshold is not None else {}
            rows.append({"aim": text, "in_use": False, "threshold": threshold, **figures, "note": note})
    return rows


def _said(row: dict[str, Any], name: str) -> str:
    if row[name] is None:
        return "no share"
    lo, hi = row[f"{name}_lo"], row[f"{name}_hi"]
    return percent(row[name]) + (f" ({percent(lo)} to {percent(hi)})" if lo is not None else "")


def _fitted(aim: str, predictions: Predictions) -> tuple[float | None, str]:
    """The threshold that an aim asks for, and why there is none."""
    rows = np.flatnonzero(predictions.readable)
    if aim == "default":
        return HALF, ""
    try:
        fitted = fit_thresholds(predictions.scores()[rows], predictions.targets[rows], aim, classes=predictions.classes)
    except UsageError as error:
        return None, str(error)
    return fitted.thresholds[0], " ".join(told.summary for told in fitted.findings if told.severity != "info")


def _threshold(policy: Policy | None) -> float | None:
    """The threshold that decided; None where that is not known."""
    if policy is None:
        return None
    return policy.thresholds[0] if policy.thresholds else HALF


def _point(scores: Scores, sample: Sample, threshold: float | None, seed: int, replicates: int) -> dict[str, Any]:
    """Sensitivity, specificity, PPV and NPV with intervals; None as threshold stands for the answers as they are."""
    if threshold is not None:
        yes = scores.probabilities[:, POSITIVE] >= threshold
        scores = replace(scores, answers=np.where(scores.readable, np.where(yes, POSITIVE, 1 - POSITIVE), -1))
    statistics = {name: of_metric(METRICS[name], scores, sample) for name in FIGURES}
    figures = estimate(statistics, sample, seed=seed, replicates=replicates)
    yes_answers = int(answered_yes(scores).sum())
    cells = [cell for name, figure in figures.items() for cell in _cells(name, figure)]
    return {"threshold": threshold, **dict(cells), "answered_yes": yes_answers, "images": len(scores)}


def _cells(name: str, figure: Estimate) -> list[tuple[str, float | None]]:
    return [(name, figure.value), (f"{name}_lo", figure.lo), (f"{name}_hi", figure.hi)]
