"""Before and after compression: the same test images by a paired test, and what the decision policy makes of it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from linnaea.arrays import Floats
from linnaea.evidence.comparison.differences import change_of, common_sample
from linnaea.evidence.comparison.pairing import pair
from linnaea.evidence.comparison.two import Comparison, compare
from linnaea.evidence.metrics.scores import ratio
from linnaea.experiments.compression.worth import Point
from linnaea.finding import Estimate, Finding
from linnaea.predictions import Predictions
from linnaea.statistics.intervals import Statistic, estimate
from linnaea.statistics.shares import unvaried
from linnaea.statistics.spread import Sample

NAME = "compression"
SHOWN = ("nll", "ece", "brier", "aurc")  # beside the task's metric: what compression damages first
REASONS = {"ok": "Answered", "unsure": "Unsure", "unfamiliar": "Unfamiliar"}


def before_and_after(
    before: Predictions, after: Predictions, names: tuple[str, str], points: Sequence[Point]
) -> Finding:
    """The finding `compression`: its rows are measures with values before and after and the difference in between.

    `points` are what was measured before, and after each method.
    """
    compared = compare(before, after, names)
    matched = pair(before, after, names)
    first, second = matched.a, matched.b
    rows = [*_metric_rows(compared)]
    if not before.rules.multilabel:
        rows.append(_worst_class(first, second))
    rows += [*_reason_rows(first, second), *_cost_rows(points)]
    start, end = points[0], points[-1]
    worse = compared.better == names[0]
    return Finding(
        NAME,
        f"{compared.sentence} Its weights take {end.megabytes:.2f} MB in place of {start.megabytes:.2f}, and an image "
        f"{end.speed.milliseconds:.2f} ms in place of {start.speed.milliseconds:.2f}.",
        severity="warning" if worse else "info",
        count=compared.n,
        figure=compared.differences[compared.metric],
        rows=rows,
    )


def points_finding(points: Sequence[Point]) -> Finding:
    """The finding `compression_points`: what was reached after each method, on val and on this machine."""
    last = points[-1]
    return Finding(
        f"{NAME}_points",
        f"{last.name} came to {last.megabytes:.2f} MB and {last.speed.milliseconds:.2f} ms for an image on this "
        f"machine (lower quartile of {last.speed.rounds} times).",
        rows=[point.to_json() for point in points],
    )


def _metric_rows(compared: Comparison) -> Iterator[dict[str, Any]]:
    for name in (compared.metric, *SHOWN):
        if name in compared.differences:
            values = compared.values[name]
            yield _row(name, "metric", values, compared.differences[name], compared.tested(name))


def _worst_class(first: Predictions, second: Predictions) -> dict[str, Any]:
    """The recall of the class with the lowest, whichever that is, resampled."""
    targets, sample = first.targets, common_sample(first, second)
    hits = [(side.answers == side.targets).astype(np.float64) for side in (first, second)]
    worst = [_lowest(targets, right, len(first.classes)) for right in hits]
    of_class = [_class_at(targets, right, first.classes) for right in hits]
    same = bool((hits[0] == hits[1]).all())
    slack = unvaried(np.ones(1), np.array([float(min(filter(None, np.bincount(targets))))]), 1) if same else 0.0
    statistic = Statistic(
        lambda weights: worst[1](weights) - worst[0](weights),
        len(targets),
        smooth=False,
        slack=(slack, slack),
        bounds=(-1.0, 1.0),
    )
    everything = np.ones((1, len(targets)))
    values = tuple(_or_none(float(one(everything)[0])) for one in worst)
    row = _row("worst_class_recall", "metric", values, _estimated(statistic, sample), "interval only")
    return row | {"before_class": of_class[0], "after_class": of_class[1]}


def _lowest(targets: Any, right: Floats, classes: int) -> Any:
    def lowest(weights: Floats) -> Floats:
        recalls = [ratio(weights @ (right * (targets == one)), weights @ (targets == one)) for one in range(classes)]
        return np.asarray(np.nanmin(np.stack(recalls), axis=0), dtype=np.float64)

    return lowest


def _class_at(targets: Any, right: Floats, classes: Sequence[str]) -> str:
    recalls = [right[targets == place].mean() if (targets == place).any() else np.inf for place in range(len(classes))]
    return classes[int(np.argmin(recalls))]


def _reason_rows(first: Predictions, second: Predictions) -> Iterator[dict[str, Any]]:
    """How often each answers, and declines, and how often it is right where it answers."""
    sample, everything = common_sample(first, second), np.ones(len(first), dtype=bool)
    for reason in REASONS:
        sides = [side.answered(reason) for side in (first, second)]
        values = tuple(float(side.mean()) for side in sides)
        difference = _estimated(change_of(sides[0], sides[1], everything, sample), sample)
        yield _row(f"{reason}_rate", "rejection", values, difference, "interval only")
    if first.rules.multilabel:
        return
    answered = [side.answered("ok") for side in (first, second)]
    right = [side.answers == side.targets for side in (first, second)]
    shares = [_share(hit, given) for hit, given in zip(right, answered, strict=True)]
    same = all(bool((one[0] == one[1]).all()) for one in (answered, right))
    slack = unvaried(np.ones(1), np.array([float(max(answered[0].sum(), 1))]), 1) if same else 0.0
    statistic = Statistic(
        lambda weights: shares[1](weights) - shares[0](weights), len(first), slack=(slack, slack), bounds=(-1.0, 1.0)
    )
    whole = np.ones((1, len(first)))
    rates = tuple(_or_none(float(share(whole)[0])) for share in shares)
    yield _row("answered_accuracy", "rejection", rates, _estimated(statistic, sample), "interval only")


def _share(hits: Any, given: Any) -> Any:
    return lambda weights: ratio(weights @ (hits & given).astype(np.float64), weights @ given.astype(np.float64))


def _cost_rows(points: Sequence[Point]) -> Iterator[dict[str, Any]]:
    first, last = points[0], points[-1]
    yield _cost("megabytes", first.megabytes, last.megabytes)
    yield _cost("milliseconds", first.speed.milliseconds, last.speed.milliseconds)
    yield _cost("images_per_second", first.speed.images_per_second, last.speed.images_per_second)


def _cost(name: str, before: float, after: float) -> dict[str, Any]:
    return {"measure": name, "kind": "cost", "before": before, "after": after, "times": after / before}


def _row(name: str, kind: str, values: tuple[float | None, ...], difference: Estimate, tested: str) -> dict[str, Any]:
    told = {key: value for key, value in asdict(difference).items() if key in ("value", "lo", "hi", "method")}
    return {
        "measure": name,
        "kind": kind,
        "before": values[0],
        "after": values[1],
        "difference": told["value"],
        "lo": told["lo"],
        "hi": told["hi"],
        "method": told["method"],
        "tested": tested,
    }


def _estimated(statistic: Statistic, sample: Sample) -> Estimate:
    return estimate({"it": statistic}, sample)["it"]


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
