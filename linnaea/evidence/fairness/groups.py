"""The figures of each group of images, the worst group, the gaps between groups, and what is too small to judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnaea.errors import DataError
from linnaea.evidence.fairness.gaps import GAPS, Facts
from linnaea.evidence.fairness.measuring import Compared, Measured, corrected, measured
from linnaea.evidence.fairness.slicing import PAIRED, SMALLEST, Slices
from linnaea.evidence.fairness.telling import RIGHT_LABELS, gap_finding, small_finding, worst_finding
from linnaea.evidence.fairness.worst import WorseTest, by_gap, by_metric, worst_of
from linnaea.evidence.metrics import Judged, metrics_of, scores_of
from linnaea.evidence.uncertainty import of_metric, sample_of
from linnaea.finding import Estimate, Finding
from linnaea.predictions import Predictions
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
    Each gap, and the metric of the worst group, is tested by shuffling the groups among the images, corrected for the
    number of groups, of rates, of gaps and of slicings, so that where nothing differs anything is said in 5 of 100
    cases at the most. The findings are `groups`, `worst_group`, `gaps` and, where there are any, `small_groups`. Raises
    DataError where an image has no truth, or a slicing is not of these images.
    """
    for slices in slicings:
        if len(slices.places) != len(predictions):
            raise DataError(
                f"{slices.by} is known of {len(slices.places)} images, and there are {len(predictions)} predictions: "
                "expected a value for each."
            )
    scores, sample = scores_of(predictions), sample_of(predictions)
    looked = _tested(predictions, scores, sample, slicings, smallest, seed)
    figures: dict[str, Estimate] = {}
    rows: list[dict[str, Any]] = []
    worst = []
    name = predictions.rules.metric
    for slices, own, test in looked:
        told = [
            _figures(scores, sample, np.flatnonzero(slices.places == group), predictions.task, seed, replicates)
            for group in range(len(slices))
        ]
        rows += [_row(slices, group, told[group], own, test, smallest) for group in range(len(slices))]
        better = metrics_of(scores)[name].higher_is_better
        lowest = worst_of(slices, [one[name] for one in told], smallest, higher_is_better=better)
        if lowest is not None:
            figures[_named("worst_group", slices)] = lowest[1]
        worst.append(worst_finding(slices, name, lowest, test))
        figures |= {_named(gap.gap, slices): gap.estimate for gap in own if gap.compared}
    notes = " ".join(filter(None, (slices.note for slices in slicings)))
    summary = f"{len(rows):,} groups by {', '.join(slices.by for slices in slicings)}. {notes}".strip()
    findings = [
        *worst,
        gap_finding([gap for _, own, _ in looked for gap in own if gap.compared]),
        *small_finding(slicings, smallest),
        Finding("groups", summary, count=len(predictions), rows=rows),
    ]
    return Groups(figures, findings)


def _tested(
    predictions: Predictions, scores: Judged, sample: Sample, slicings: Sequence[Slices], smallest: int, seed: int
) -> list[tuple[Slices, list[Measured], WorseTest]]:
    """The gaps of each slicing and the test of its worst group, all corrected for one another.

    Right answers are one of the gaps: where the metric of the task is their share, or cannot be tested itself, their
    test is that of the worst group.
    """
    facts, name = Facts(predictions, scores), predictions.rules.metric
    gaps = [
        measured(gap, make(facts), slices, sample, smallest, seed)
        for slices in slicings
        for gap, make in GAPS.items()
        if _is_for(gap, predictions.task)
    ]
    metric = metrics_of(scores)[name]
    own = [
        None if name == "accuracy" else by_metric(metric, name, scores, slices, sample, smallest=smallest, seed=seed)
        for slices in slicings
    ]
    tests = [test for test in own if test is not None]
    told = corrected([*(gap.p for gap in gaps), *(test.least for test in tests)])
    gaps = [gap.corrected(*one) for gap, one in zip(gaps, told, strict=False)]
    fixed = iter([test.corrected(*one) for test, one in zip(tests, told[len(gaps) :], strict=True)])
    looked = []
    for slices, test in zip(slicings, own, strict=True):
        here = [gap for gap in gaps if gap.slices is slices]
        right = next(gap for gap in here if gap.gap == RIGHT)
        by_right = by_gap("accuracy" if name == "accuracy" else RIGHT_LABELS, right)
        looked.append((slices, here, by_right if test is None else next(fixed)))
    return looked


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
    slices: Slices,
    group: int,
    figures: Mapping[str, Estimate],
    gaps: Sequence[Measured],
    test: WorseTest,
    smallest: int,
) -> dict[str, Any]:
    images = int(slices.images[group])
    row: dict[str, Any] = {"by": slices.by, "group": slices.names[group], "n": images}
    for name, figure in figures.items():
        row |= {name: figure.value, f"{name}_lo": figure.lo, f"{name}_hi": figure.hi}
    for gap in gaps:
        if len(gap.compared) == 1 and gap.gap != RIGHT:
            row[gap.gap.removesuffix("_difference")] = _mean(gap.compared[0], slices, group)
    row["p"] = test.p_of(group) if images >= smallest else None
    undefined = [f"{name} {figure.method}" for name, figure in figures.items() if figure.value is None]
    notes = [f"fewer than {smallest} images: not judged"] if images < smallest else []
    return row | {"note": "; ".join([*notes, *undefined])}


def _mean(compared: Compared, slices: Slices, group: int) -> float | None:
    rows = compared.rate.used & (slices.places == group)
    return float(compared.rate.values[rows].mean()) if rows.any() else None
