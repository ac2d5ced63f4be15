"""Differences between two classifiers on the same images: their intervals and their test."""

import numpy as np

from linnaea.arrays import Flags, Floats
from linnaea.evidence.metrics import Metric
from linnaea.evidence.metrics.contract import S
from linnaea.evidence.metrics.scores import ratio
from linnaea.evidence.uncertainty import Jackknifed, sample_of, used_by, why_undefined
from linnaea.predictions import Predictions
from linnaea.statistics.intervals import Statistic
from linnaea.statistics.paired import FLIPS, bonett_price, mcnemar, sign_flips, zou_donner
from linnaea.statistics.shares import unvaried
from linnaea.statistics.spread import Sample


def common_sample(*sides: Predictions) -> Sample:
    """The images of predictions with the same rows, in the groups that any of them knows."""
    samples = [sample_of(one) for one in sides]
    return next((sample for sample in samples if sample.groups is not None), samples[0])


def alike(metric: Metric[S], scores: tuple[S, S]) -> tuple[S, S]:
    """Both scores with the same images readable, for a metric that leaves out the others."""
    if not metric.readable_only:
        return scores
    both = scores[0].readable & scores[1].readable
    return scores[0].with_readable(both), scores[1].with_readable(both)


def value_of(metric: Metric[S], scores: S) -> float | None:
    """The metric of all images, None where it is not defined."""
    value = float(metric(scores, np.ones((1, len(scores))))[0])
    return None if np.isnan(value) else value


def difference_of(metric: Metric[S], scores: tuple[S, S], sample: Sample) -> Statistic:
    """The metric of the second scores less that of the first, on the same images."""
    used = used_by(metric, scores[0])
    undefined = why_undefined(scores[0], used)
    if metric.flags:
        return change_of(metric.flags(scores[0]), metric.flags(scores[1]), used, sample, undefined)
    before, after = (Jackknifed.of(metric, side, used) for side in scores)
    slack = _slack(before, after, sample) if metric.parts and used.any() else 0.0
    linear = before.influence is not None and after.influence is not None
    least, most = metric.bounds
    return Statistic(
        lambda weights: after.function(weights) - before.function(weights),
        int(used.sum()),
        limits=_from_both(metric, scores, sample) if metric.interval and used.any() else None,
        method="from both intervals, conservative for paired data",
        influence=after.influence - before.influence if linear else None,  # type: ignore[operator]
        slack=(slack, slack),
        bounds=(least - most, most - least),
        note=after.note,
        undefined=undefined,
    )


def change_of(before: Flags, after: Flags, counted: Flags, sample: Sample, undefined: str = "no images") -> Statistic:
    """How much greater the share of the `counted` images (n,) is that are flagged `after` (n,) than `before` (n,)."""
    change, images = after.astype(np.float64) - before, int(counted.sum())
    won, lost = (int((change[counted] == sign).sum()) for sign in (1, -1))
    slack = 0.0 if won or lost else unvaried(np.ones(1), np.array([float(max(sample.units, 1))]), 1)
    return Statistic(
        lambda weights: ratio(weights @ np.where(counted, change, 0.0), weights @ counted.astype(np.float64)),
        images,
        limits=bonett_price(lost, won, images) if sample.groups is None and images else None,
        method="Bonett and Price, paired",
        slack=(slack, slack),
        bounds=(-1.0, 1.0),
        undefined=undefined,
    )


def _slack(before: Jackknifed, after: Jackknifed, sample: Sample) -> float:
    """How far a difference may be off through the parts that came out the same in both."""
    same = np.where(before.values == after.values, 1.0, np.nan)
    images = np.minimum(before.images, after.images) * sample.density
    return unvaried(same, images, int((~np.isnan(before.values)).sum()))


def _from_both(metric: Metric[S], scores: tuple[S, S], sample: Sample) -> tuple[float, float] | None:
    """Limits from those of each, where a metric tells its own."""
    assert metric.interval is not None, "only such a metric has limits of its own"
    values = [float(metric(side, np.ones((1, len(side))))[0]) for side in scores]
    limits = [metric.interval(side, sample.unit_of) for side in scores]
    return None if np.isnan([values, *np.transpose(limits)]).any() else zou_donner(values, limits)


def _discordant(metric: Metric[S], scores: tuple[S, S]) -> tuple[int, int]:
    gained = _gained(metric, scores)
    return int((gained < 0).sum()), int((gained > 0).sum())


def _gained(metric: Metric[S], scores: tuple[S, S]) -> Floats:
    """1 where only the second is right, -1 where only the first is, else 0 (n,)."""
    if metric.flags is None:
        raise TypeError("only a plain share of images has discordant images")
    return metric.flags(scores[1]).astype(np.float64) - metric.flags(scores[0])


def test_of(metric: Metric[S], scores: tuple[S, S], sample: Sample, seed: int) -> tuple[float | None, str]:
    """The p-value of no difference in a plain share of images, and the name of the test; None for other metrics."""
    if metric.flags is None:
        return None, "none: the interval decides"
    if sample.groups is None:
        return mcnemar(*_discordant(metric, scores)), "McNemar, exact"
    by_group = np.bincount(sample.groups, weights=_gained(metric, scores)).astype(np.float64)
    return sign_flips(by_group, seed), f"sign flips over {sample.units} groups, {FLIPS:,} draws"
