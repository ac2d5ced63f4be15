"""The tables a report draws from predictions of several labels, each a finding with one plain sentence."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from linnaea.arrays import Flags, Floats
from linnaea.decisions import Policy
from linnaea.evidence.co_occurrence import co_occurrence
from linnaea.evidence.metrics import LABEL_METRICS, LabelScores
from linnaea.evidence.metrics.binned import decisions_of
from linnaea.evidence.metrics.influence import Part, of_area, of_average_precision
from linnaea.evidence.metrics.label_ranking import average_precision, behind_each, linear_of_labels
from linnaea.evidence.metrics.ranking import area, in_blocks
from linnaea.evidence.metrics.scores import BINS, Ranking, ratio
from linnaea.evidence.tables import (
    MOST_MISTAKES,
    answers,
    more_than_chance,
    or_none,
    percent,
    unreadable,
    with_band,
    with_limits,
    with_outlook,
)
from linnaea.evidence.uncertainty import sample_of, sorts_too_much
from linnaea.finding import Estimate, Finding
from linnaea.predictions import Predictions
from linnaea.runtime.words import in_number
from linnaea.statistics.intervals import Statistic, estimate
from linnaea.statistics.shares import Shares, share_at, slack_of_parts
from linnaea.statistics.spread import Sample

ORDER: dict[str, tuple[Callable[[Ranking, Floats], Floats], Part]] = {
    "average_precision": (average_precision, of_average_precision),
    "roc_auc": (area, of_area),
}
ONE_SIDED = "no image is known to show it, or none is known not to"
MOST_NAMED = 5


def findings(
    predictions: Predictions, scores: LabelScores, policy: Policy | None, *, seed: int, replicates: int
) -> list[Finding]:
    """The findings `per_label`, `co_occurrence`, `reliability`, `mistakes`, `answers`.

    And `unreadable` and `nothing_known` if any image is that.
    """
    sample = sample_of(predictions)
    orders = _orders(scores, sample, seed, replicates)
    tables = [
        _per_label(predictions.classes, scores, policy, orders, sample),
        co_occurrence(predictions.classes, scores, grouped=sample.groups is not None),
        _reliability(scores, sample),
        _mistakes(predictions, scores),
        answers(predictions),
    ]
    if not scores.readable.all():
        tables.append(unreadable(predictions, "answered without labels"))
    return tables if scores.counted.all() else [*tables, _nothing_known(predictions, scores)]


def _orders(scores: LabelScores, sample: Sample, seed: int, replicates: int) -> dict[str, list[Estimate]]:
    """The figures of `ORDER` of each label, with intervals by the jackknife as all other figures."""
    read, readable = scores.take(scores.readable), scores.readable
    behind, known = behind_each(scores) * sample.density, read.known.sum(axis=0)
    linearly = sorts_too_much(LABEL_METRICS["map"], scores)

    def figure(function: Callable[[Ranking, Floats], Floats], number: int) -> Callable[[Floats], Floats]:
        ranking = read.rankings[number]
        return lambda weights: in_blocks(
            weights if readable.all() else weights[:, readable], [partial(function, ranking)]
        )[:, 0]

    def statistic(name: str, number: int) -> Statistic:
        exactly, part = ORDER[name]
        linear = linear_of_labels(read, part, [number]).among(readable) if linearly else None
        function = linear or figure(exactly, number)
        value = function(np.ones((1, len(scores)))) if len(scores) else np.full(1, np.nan)
        return Statistic(
            function,
            int(known[number]),
            influence=linear.influence if linear else None,
            slack=slack_of_parts(value, behind[number : number + 1]),
            bounds=(0.0, 1.0),
            undefined=ONE_SIDED,
            note=", to first order" if linear else "",
        )

    statistics = {f"{name} {number}": statistic(name, number) for name in ORDER for number in range(scores.classes)}
    found = estimate(statistics, sample, seed=seed, replicates=replicates)
    return {name: [found[f"{name} {number}"] for number in range(scores.classes)] for name in ORDER}


def _per_label(
    classes: Sequence[str],
    scores: LabelScores,
    policy: Policy | None,
    orders: dict[str, list[Estimate]],
    sample: Sample,
) -> Finding:
    known, right = (flags.sum(axis=0).astype(np.float64) for flags in (scores.known, scores.there & scores.named))
    precision, recall = (_shares(kind, scores, sample) for kind in (scores.named, scores.there))
    columns: dict[str, list[Any]] = {
        "label": list(classes),
        "n": recall.images.astype(int).tolist(),
        "known": known.astype(int).tolist(),
        **{
            f"{name}{end}": [getattr(figure, end.strip("_") or "value") for figure in figures]
            for name, figures in orders.items()
            for end in ("", "_lo", "_hi")
        },
        **with_limits("precision", precision),
        **with_limits("recall", recall),
        **with_outlook("recall", recall),
        "f1": or_none(ratio(2 * right, precision.images + recall.images)),
        "threshold": _thresholds(policy, len(classes)),
    }
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    lacking = [row["label"] for row in rows if row["average_precision"] is None]
    summary = " ".join(filter(None, [_weakest(rows), _lacking(lacking)]))
    return Finding("per_label", summary, "warning" if lacking else "info", len(scores), rows=rows)


def _shares(kind: Flags, scores: LabelScores, sample: Sample) -> Shares:
    """Of the decisions of a `kind` (n, K), the share for each label whose label is there and was answered."""
    rows, labels = np.nonzero(kind)
    right = (scores.there & scores.named)[rows, labels]
    return share_at(labels, right, scores.classes, None if sample.groups is None else sample.groups[rows])


def _thresholds(policy: Policy | None, count: int) -> list[float | None]:
    if policy is None:
        return [None] * count
    return list(policy.thresholds) if policy.thresholds else [0.5] * count


def _weakest(rows: Sequence[dict[str, Any]]) -> str:
    judged = [row for row in rows if row["average_precision"] is not None]
    if not judged:
        return ""
    weakest = min(judged, key=lambda row: (row["average_precision"], -row["n"]))
    value, lo, hi = (weakest[f"average_precision{end}"] for end in ("", "_lo", "_hi"))
    figure = Estimate(value, lo, hi, weakest["n"], "")
    return f"The weakest label is {weakest['label']}: average precision {figure}, n = {weakest['n']}."


def _lacking(labels: Sequence[str]) -> str:
    if not labels:
        return ""
    named = ", ".join(labels[:MOST_NAMED]) + (", ..." if len(labels) > MOST_NAMED else "")
    return (
        f"Of {len(labels)} {in_number(len(labels), 'label')} {ONE_SIDED}, so that the means over labels leave "
        f"{'them' if len(labels) > 1 else 'it'} out: {named}."
    )


def _reliability(scores: LabelScores, sample: Sample) -> Finding:
    """By bins of probability; decisions about one image, or group, are not independent."""
    rows, labels = np.nonzero(scores.bins >= 0)
    if not len(rows):
        return Finding("reliability", "No readable image has a known label.")
    places, probabilities = scores.bins[rows, labels], scores.probabilities[rows, labels]
    there = share_at(places, scores.there[rows, labels], BINS, sample.unit_of[rows])
    edges, binned = np.linspace(0, 1, BINS + 1), decisions_of(scores, sample)
    columns = {
        "lo": edges[:-1].tolist(),
        "hi": edges[1:].tolist(),
        "probability": or_none(ratio(np.bincount(places, probabilities, BINS).astype(np.float64), there.images)),
        **with_limits("share", there),
        **with_band(binned),
        "n": there.images.astype(int).tolist(),
    }
    told = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    summary = (
        f"The mean probability of a label is {percent(probabilities.mean())} where "
        f"{percent(scores.there[rows, labels].mean())} of them are present, over {len(rows):,} decisions."
    )
    summary += more_than_chance(binned)
    return Finding("reliability", summary, count=len(np.unique(rows)), rows=[row for row in told if row["n"]])


def _mistakes(predictions: Predictions, scores: LabelScores) -> Finding:
    """The images with the most confident wrong label: its probability if given, one less that if missed."""
    sureness = np.where(scores.there, 1 - scores.probabilities, scores.probabilities)
    sureness = np.where(scores.wrong & scores.readable[:, None], sureness, -1.0)
    wrong = np.flatnonzero(sureness.max(axis=1, initial=-1.0) >= 0)
    worst = wrong[np.argsort(-sureness[wrong].max(axis=1, initial=-1.0), kind="stable")][:MOST_MISTAKES]
    rows = [_mistake(predictions, scores, row, int(sureness[row].argmax())) for row in worst.tolist()]
    read, decisions = int((scores.readable & scores.counted).sum()), int(scores.known[scores.readable].sum())
    if not rows:
        return Finding("mistakes", f"None of {decisions:,} decisions about {read:,} readable images was wrong.")
    first = rows[0]
    summary = (
        f"{len(wrong):,} of {read:,} readable images have a wrong label, {int(scores.wrong[scores.readable].sum()):,} "
        f"of {decisions:,} decisions; the most confident mistake is {first['worst']} {first['mistake']}, with a "
        f"probability of {first['probability']:.3f}."
    )
    return Finding("mistakes", summary, count=len(wrong), rows=rows, images=[row["id"] for row in rows])


def _mistake(predictions: Predictions, scores: LabelScores, row: int, worst: int) -> dict[str, Any]:
    facts = predictions.table.select(["id", "truth", "label"]).slice(row, 1).to_pylist()[0]
    unknown = [name for name, known in zip(predictions.classes, scores.known[row].tolist(), strict=True) if not known]
    return {
        "id": facts["id"],
        "truth": facts["truth"],
        "unknown": unknown,
        "label": facts["label"],
        "worst": predictions.classes[worst],
        "mistake": "missed" if scores.there[row, worst] else "answered although absent",
        "probability": float(scores.probabilities[row, worst]),
        "wrong": int(scores.wrong[row].sum()),
    }


def _nothing_known(predictions: Predictions, scores: LabelScores) -> Finding:
    ids = predictions.column("id")
    names = [ids[row] for row in np.flatnonzero(~scores.counted).tolist()]
    summary = (
        f"Of {len(names):,} of {len(ids):,} images it is not known of any label whether they show it: they were "
        "answered, but play no part in any figure that needs the truth."
    )
    return Finding("nothing_known", summary, "warning", len(names), rows=[{"id": name} for name in names], images=names)
