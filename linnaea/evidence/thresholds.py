"""Thresholds for a stated aim: from which probability on a label is answered, chosen on val."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnaea.arrays import Floats, Targets
from linnaea.errors import UsageError
from linnaea.evidence.aims import ROUNDING, Cuts, Goal
from linnaea.finding import Finding

FEW = 5
DOUBT = 20.0
HALF = 0.5
TASKS_WITH_THRESHOLDS = ("binary", "multilabel")


@dataclass(frozen=True)
class Fitted:
    """Thresholds for a policy, the aim they were chosen for, and what is to be said of them."""

    thresholds: tuple[float, ...]
    aim: str
    findings: tuple[Finding, ...] = ()


def require_thresholds(task: str, aim: str | None) -> None:
    """Raise UsageError where an aim is stated for a task whose answers no threshold decides."""
    if aim is not None and Goal.parse(aim).text != "default" and task not in TASKS_WITH_THRESHOLDS:
        raise UsageError(
            f"the aim {aim!r} chooses a threshold, but the task is {task}, which needs none: expected two "
            "classes or several labels per image; leave the aim out."
        )


def fit_thresholds(
    probabilities: Floats,
    targets: Targets,
    aim: str | None = None,
    *,
    classes: Sequence[str],
    weights: tuple[float, float] = (1.0, 1.0),
) -> Fitted:
    """Choose the thresholds that serve an aim best on images that the model was not trained on.

    `probabilities` (N, K) are calibrated. Of two classes, with targets (N,), the second is the positive one and gets
    one threshold; none for the aim "default", which is the likelier class. Of several labels, with targets (N, K) of 0,
    1 and NaN, each gets its own over the images where it is known. Where a label has fewer than 5 positives, all such
    labels are pooled for one common threshold; one half remains where there is no positive at all. `weights` are what
    one negative and one positive count. Raises UsageError for an aim that no threshold reaches.
    """
    goal = Goal.parse(aim or "default")
    if targets.ndim == 2:
        if goal.text == "default":
            goal = Goal.parse("f1")
        return _fit(probabilities, targets, classes, goal, weights)
    if goal.text == "default":
        return Fitted((), "")
    return _fit(probabilities[:, 1:], targets[:, None].astype(np.float64), classes[1:], goal, weights)


def _fit(scores: Floats, truths: Floats, names: Sequence[str], goal: Goal, weights: tuple[float, float]) -> Fitted:
    known, positives, negatives = ~np.isnan(truths), (truths == 1).sum(axis=0), (truths == 0).sum(axis=0)
    own = (positives >= (FEW if len(names) > 1 else 1)) & (negatives > 0)
    rows = [
        _choose(scores[known[:, k], k], truths[known[:, k], k], goal, weights, names[k]) if own[k] else {}
        for k in range(len(names))
    ]
    common = _choose_together(scores, truths, known, ~own, goal, weights) if not own.all() else {}
    for k in np.flatnonzero(~own):
        rows[k] = common | {"positives": int(positives[k]), "negatives": int(negatives[k])}
    rows = [{"label": name, **row} for name, row in zip(names, rows, strict=True)]
    findings = [_summary(rows, goal), *_warnings(rows, own, goal)]
    return Fitted(tuple(row["threshold"] for row in rows), goal.text, tuple(findings))


def _choose_together(
    scores: Floats, truths: Floats, known: Targets, few: Targets, goal: Goal, weights: tuple[float, float]
) -> dict[str, Any]:
    """One threshold for the labels with few positives, from them alone or, if too few, from all labels."""
    pool = known & few
    if (truths[pool] == 1).sum() < FEW:
        pool = known
    if not (truths[pool] == 1).any() or not (truths[pool] == 0).any():
        return {"threshold": HALF, "fitted_on": "nothing: one half", "recall": None, "specificity": None}
    row = _choose(scores[pool], truths[pool], goal, weights, "all labels with few positives, together")
    return {"threshold": row["threshold"], "fitted_on": "several labels together", "recall": None, "specificity": None}


def _choose(scores: Floats, truths: Floats, goal: Goal, weights: tuple[float, float], name: str) -> dict[str, Any]:
    seen = Cuts.of(scores, truths, weights)
    judged = Cuts.of(scores, truths, weights, _doubted(scores, truths)) if goal.aim.doubtful else seen
    scores = goal.aim.score(judged, goal.amounts)
    best = int(scores.argmax())
    if scores[best] == -np.inf:
        raise _out_of_reach(seen, goal, name, len(scores))
    return {
        "threshold": float(seen.thresholds[best]),
        "fitted_on": "its own positives",
        "recall": float(seen.recall[best]),
        "specificity": float(seen.specificity[best]),
        "precision": None if np.isnan(seen.precision[best]) else float(seen.precision[best]),
        "positives": int((truths == 1).sum()),
        "negatives": int((truths == 0).sum()),
    }


def _doubted(scores: Floats, truths: Floats) -> Floats:
    """Truths mixed with what the probabilities promise, as if that were `DOUBT` more images of the rarer kind.

    The highest point of a jagged curve owes much to chance where images of either kind are few.
    """
    fewer = min(float(truths.sum()), len(truths) - float(truths.sum()))
    share = DOUBT / (DOUBT + fewer)
    return (1 - share) * truths + share * scores


def _out_of_reach(cuts: Cuts, goal: Goal, name: str, images: int) -> UsageError:
    reached = np.where(cuts.found > 0, np.nan_to_num(getattr(cuts, goal.aim.floor)), -1.0)
    best = int(reached.argmax())
    return UsageError(
        f"no threshold reaches {goal.text} for {name} on the {images} val images: the best {goal.aim.floor} that still "
        f"finds any is {reached[best]:.3f}, at a threshold of {cuts.thresholds[best]:.4f} (recall "
        f"{cuts.recall[best]:.3f}). Ask for less."
    )


def _summary(rows: Sequence[dict[str, Any]], goal: Goal) -> Finding:
    if len(rows) > 1:
        lowest, highest = (edge(row["threshold"] for row in rows) for edge in (min, max))
        text = f"{len(rows)} labels have thresholds from {lowest:.3f} to {highest:.3f}, for the aim {goal.text}."
    elif rows[0]["recall"] is None:
        text = f"The threshold of {rows[0]['label']} is {rows[0]['threshold']:.3f}."
    else:
        row = rows[0]
        text = (
            f"{row['label']} is answered at a probability of {row['threshold']:.4f} or more, for the aim {goal.text}: "
            f"on val this finds {row['recall']:.1%} of {row['positives']} and correctly rejects "
            f"{row['specificity']:.1%} of {row['negatives']} negatives."
        )
    return Finding("thresholds", text, count=sum(row["positives"] for row in rows), rows=rows)


def _warnings(rows: Sequence[dict[str, Any]], own: Targets, goal: Goal) -> list[Finding]:
    absent = [row["label"] for row in rows if not row["positives"]]
    few = [row["label"] for row, fitted in zip(rows, own, strict=True) if not fitted and row["positives"]]
    short = [row["label"] for row in rows if _unassured(row, goal)]
    told = [
        (
            "no_positives",
            absent,
            "no positive in val, so its threshold was not fitted",
        ),
        (
            "few_positives",
            few,
            f"fewer than {FEW} positives, or no negative, in val, so a common threshold is used",
        ),
        ("few_for_aim", short, f"too few images in val for {goal.text} to hold on new images as well"),
    ]
    return [
        Finding(
            name,
            f"{_listed(labels)} ({len(labels)} of {len(rows)}): {what}.",
            "warning",
            rows=[{"label": label} for label in labels],
        )
        for name, labels, what in told
        if labels
    ]


def _unassured(row: dict[str, Any], goal: Goal) -> bool:
    """Whether less than one of the images that the aim is about may be on the wrong side."""
    counted = {"recall": "positives", "specificity": "negatives"}.get(goal.aim.floor)
    return counted is not None and (row[counted] + 1) * (1 - goal.amounts[0]) < 1 - ROUNDING


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
