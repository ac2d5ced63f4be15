"""The figures of each group of images, the worst group, the gaps between groups, and what is too small to judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnaea.errors import DataError
from linnaea.evidence.fairness.gaps import GAPS, Facts
from linnaea.evidence.fairness.measuring import Compared, Measured, adjusted, measured
from linnaea.evidence.fairness.slicing import PAIRED, SMALLEST, Slices
from linnaea.evidence.fairness.telling import gap_finding, small_finding, worst_finding
from linnaea.evidence.metrics import Judged, metrics_of, scores_of
from linnaea.evidence.uncertainty import of_metric, sample_of
from linnaea.finding import Estimate, Finding
from linnaea.predictions import Predictions
from linnaea.statistics.between_groups import widened
from linnaea.statistics.intervals import REPLICATES, estimate
from linnaea.statistics.spread import Sample

FIGURES = {
    "binary": ("sensitivity", "specificity", "ppv", "ece"),
    "multiclass": ("balanced_accuracy", "ece"),
    "hierarchical": ("risk", "balanced_accuracy"),
    "multilabel": ("f1_micro", "hamming_loss"),
}
RIGHT = "accuracy_difference"


@dataclass(frozen=True)
class Groups:
    """What is known of groups: the worst one and each gap by column, by name, and the findings with all groups."""

    figures: Mapping[str, Estimate]
    findings: Sequence[Finding]


def judge_groups(
    predictions: Predictions,
    slicings: Sequence[Slices],
    *,
    smallest: int = SMALLEST,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> Groups:
    """The figures of every group, with intervals, and what differs between groups more than by chance.

    Groups of fewer than `smallest` images are shown and not judged: among many small groups some look bad by chance.
    Each gap is tested by shuffling the groups among the images, corrected for the number of groups, of rates, of gaps
    and of slicings, so that where nothing differs anything is said in 5 of 100 cases at the most. The findings are
    `groups`, `worst_group`, `gaps` and, where there are any, `small_groups`. Raises DataError where an image has no
    truth, or a slicing is not of these images.
    """
    for slices in slicings:
        if len(slices.places) != len(predictions):
            raise DataError(
                f"{slices.by} is known of {len(slices.places)} images, and there are {len(predictions)} predictions: "
                "expected a value for each."
            )
    scores, sample = scores_of(predictions), sample_of(predictions)
    facts = Facts(predictions, scores)
    gaps = adjusted(
        [
            measured(name, gap(facts), slices, sample, smallest, seed)
            for slices in slicings
            for name, gap in GAPS.items()
            if _is_for(name, predictions.task)
        ]
    )
    metric = predictions.rules.metric
    figures: dict[str, Estimate] = {}
    rows: list[dict[str, Any]] = []
    worst = []
    for slices in slicings:
        own = [gap for gap in gaps if gap.slices is slices]
        told = [
            _figures(scores, sample, np.flatnonzero(slices.places == group), predictions.task, seed, replicates)
            for group in range(len(slices))
        ]
        rows += [_row(slices, group, told[group], own, smallest) for group in range(len(slices))]
        lowest = _worst(slices, [one[metric] for one in told], smallest)
        if lowest is not None:
            figures[_named("worst_group", slices)] = lowest[1]
        worst.append(worst_finding(slices, metric, lowest, next(gap for gap in own if gap.gap == RIGHT)))
        figures |= {_named(gap.gap, slices): gap.estimate for gap in own if gap.compared}
    notes = " ".join(filter(None, (slices.note for slices in slicings)))
    summary = f"{len(rows):,} groups by {', '.join(slices.by for slices in slicings)}. {notes}".strip()
    findings = [
        *worst,
        gap_finding([gap for gap in gaps if gap.compared]),
        *small_finding(slicings, smallest),
        Finding("groups", summary, count=len(predictions), rows=rows),
    ]
    return Groups(figures, findings)


def _is_for(gap: str, task: str) -> bool:
    tasks = GAPS.about(gap).capabilities.get("tasks")
    return not isinstance(tasks, tuple) or task in tasks


def _named(figure: str, slices: Slices) -> str:
    return f"{figure}_by_{slices.by.replace(PAIRED, '_and_')}"


def _figures(scores: Judged, sample: Sample, rows: Any, task: str, seed: int, replicates: int) -> dict[str, Estimate]:
    """The task's metric and a few more on some images."""
    part = scores.take(rows)
    own = Sample.of(len(rows), None if sample.groups is None else sample.groups[rows].tolist())
    known = metrics_of(part)
    names = dict.fromkeys(("accuracy" if task != "multilabel" else "map", *FIGURES[task]))
    statistics = {name: of_metric(known[name], part, own) for name in names if name in known}
    return estimate(statistics, own, seed=seed, replicates=replicates)


def _row(
    slices: Slices, group: int, figures: Mapping[str, Estimate], gaps: Sequence[Measured], smallest: int
) -> dict[str, Any]:
    images = int(slices.images[group])
    row: dict[str, Any] = {"by": slices.by, "group": slices.names[group], "n": images}
    for name, figure in figures.items():
        row |= {name: figure.value, f"{name}_lo": figure.lo, f"{name}_hi": figure.hi}
    for gap in gaps:
        if len(gap.compared) == 1 and gap.gap != RIGHT:
            row[gap.gap.removesuffix("_difference")] = _mean(gap.compared[0], slices, group)
    right = next(gap for gap in gaps if gap.gap == RIGHT)
    row["p"] = right.p_of_group(right.compared[0], group) if images >= smallest else None
    undefined = [f"{name} {figure.method}" for name, figure in figures.items() if figure.value is None]
    notes = [f"fewer than {smallest} images: not judged"] if images < smallest else []
    return row | {"note": "; ".join([*notes, *undefined])}


def _mean(compared: Compared, slices: Slices, group: int) -> float | None:
    rows = compared.rate.used & (slices.places == group)
    return float(compared.rate.values[rows].mean()) if rows.any() else None


def _worst(slices: Slices, told: Sequence[Estimate], smallest: int) -> tuple[int, Estimate] | None:
    """The judged group with the lowest figure, with limits for the lowest true one; None where none is judged."""
    judged = [
        (group, figure)
        for group, figure in enumerate(told)
        if figure.value is not None and slices.images[group] >= smallest
    ]
    if not judged:
        return None
    wider = widened(len(judged))
    group, lowest = min(judged, key=lambda pair: (pair[1].value or 0.0, pair[0]))
    limits = [
        (max(0.0, value - wider * (value - lo)), min(1.0, value + wider * (hi - value)))
        for value, lo, hi in ((figure.value, figure.lo, figure.hi) for _, figure in judged)
        if value is not None and lo is not None and hi is not None
    ]
    value, n = lowest.value, int(slices.images[group])
    if len(limits) < len(judged):
        return group, Estimate(value, None, None, n, "no interval: some groups have none")
    lo, hi = (min(ends) for ends in zip(*limits, strict=True))
    wide = f", widened for {len(judged)} groups" if len(judged) > 1 else ""
    return group, Estimate(value, lo, hi, n, f"{lowest.method}{wide}")
