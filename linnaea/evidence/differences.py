"""Differences between two classifiers on the same images: their intervals and their test."""

import numpy as np

from linnaea.evidence.intervals import Sample, Statistic, Z, unvaried
from linnaea.evidence.metrics import Metric
from linnaea.evidence.metrics.contract import S
from linnaea.evidence.statistics import Resampled, sample_of, used_by, why_undefined
from linnaea.predictions import Predictions
from linnaea.task import Floats

FLIPS = 10_000


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of McNemar's test (1947), from the images that only one answers rightly."""
    from scipy.stats import binomtest

    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def sign_flips(differences: Floats, seed: int = 0, draws: int = FLIPS) -> float:
    """The two-sided p-value that group totals (G,) are as likely to have the other sign (Good 2005), 0 to 1."""
    moved = differences[differences != 0]
    random = np.random.default_rng(seed)
    signs = random.integers(0, 2, (draws, len(moved)), dtype=np.int8) * 2 - 1
    beyond = np.abs(signs @ moved) >= abs(moved.sum()) - 1e-9
    return float((beyond.sum() + 1) / (draws + 1))


def bonett_price(only_first: int, only_second: int, n: int) -> tuple[float, float]:
    """The 95 % limits of the difference of two paired shares, second less first (Bonett and Price 2012)."""
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    half = Z * np.sqrt((first + second - (second - first) ** 2) / (n + 2))
    return float(max(second - first - half, -1.0)), float(min(second - first + half, 1.0))


def common_sample(a: Predictions, b: Predictions) -> Sample:
    """The images of two predictions with the same rows, in groups where both have them."""
    first, second = sample_of(a), sample_of(b)
    return first if second.groups is not None else Sample(first.n)


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
    images, plain = int(used.sum()), metric.flags is not None and sample.groups is None
    before, after = (Resampled.of(metric, side, used) for side in scores)
    slack = _slack(metric, scores, (before, after), sample) if images else 0.0
    return Statistic(
        lambda weights: after.function(weights) - before.function(weights),
        images,
        limits=bonett_price(*_discordant(metric, scores), images) if plain else None,
        method="Bonett and Price, paired",
        slack=(slack, slack),
        bias=after.bias - before.bias,
        bounds=(-1.0, 1.0) if metric.parts or metric.flags else (-np.inf, np.inf),
        note=after.note,
        undefined=why_undefined(scores[0], used),
    )


def _slack(metric: Metric[S], scores: tuple[S, S], figures: tuple[Resampled, Resampled], sample: Sample) -> float:
    """How far a difference may be off through the parts that came out the same in both."""
    if metric.flags:
        same = np.array([np.nan if any(_discordant(metric, scores)) else 1.0])
        return unvaried(same, np.array([float(sample.units)]), 1)
    if not metric.parts:
        return 0.0
    first, second = figures
    same = np.where(first.values == second.values, 1.0, np.nan)
    images = np.minimum(first.images, second.images) * sample.density
    return unvaried(same, images, int((~np.isnan(first.values)).sum()))


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
    return sign_flips(by_group, seed), f"sign flips of {sample.units} groups, {FLIPS:,} draws"
