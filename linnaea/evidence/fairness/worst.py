"""The worst group of a slicing by the metric of the task, and whether chance explains that it is worse."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from linnaea.arrays import Floats, Integers
from linnaea.evidence.fairness.measuring import Measured
from linnaea.evidence.fairness.slicing import Slices
from linnaea.evidence.metrics import Judged, Metric
from linnaea.evidence.uncertainty import used_by
from linnaea.finding import Estimate
from linnaea.statistics.between_groups import judged_groups, means_of, p_of_groups, widened
from linnaea.statistics.shuffled_figures import DRAWS, p_of_figures
from linnaea.statistics.spread import Sample

MOST_WEIGHTS = 10**9  # that are looked at to test a figure that is no mean over images; some seconds


@dataclass(frozen=True, eq=False)
class WorseTest:
    """Which groups of a slicing differ from the others in a figure: the p-value of each group (G,).

    It is corrected for the number of groups; NaN of those not judged. `of` names the figure that was tested, `behind`
    (G,) is by how much each group is worse in it than all other judged images. `adjusted` is the least p-value
    corrected for all else that was tested, `factor` what that is in terms of `p`.
    """

    of: str
    p: Floats
    behind: Floats
    adjusted: float = 1.0
    factor: float = 1.0

    @property
    def least(self) -> float:
        """The least p-value of any group."""
        return 1.0 if np.isnan(self.p).all() else float(np.nanmin(self.p))

    def corrected(self, adjusted: float, factor: float) -> "WorseTest":
        """The same with what the correction for all that was tested makes of it."""
        return replace(self, adjusted=adjusted, factor=factor)

    def p_of(self, group: int) -> float:
        """The p-value of one group, corrected for all that was looked at."""
        own = float(self.p[group])
        return 1.0 if np.isnan(own) else min(1.0, max(self.adjusted, own * self.factor))


def by_gap(name: str, right: Measured) -> WorseTest:
    """The test of a gap that is already made, of a single rate of which more is better."""
    (compared,) = right.compared
    images, mean = compared.means.images * ~np.isnan(compared.means.value), np.nan_to_num(compared.means.value)
    return WorseTest(name, compared.p, _behind(mean, images), right.adjusted, right.factor)


def by_metric(
    metric: Metric[Any], name: str, scores: Judged, slices: Slices, sample: Sample, *, smallest: int, seed: int
) -> WorseTest | None:
    """WorseTest the metric itself; None where that cannot be done.

    A share of images is tested as gaps are. Another figure is tested by shuffling the groups among the images, which
    have to be independent, and not too many.
    """
    used = used_by(metric, scores)
    large = judged_groups(np.where(used, slices.places, -1), len(slices), smallest)
    rows = np.flatnonzero(used & large[slices.places])
    places, sign = slices.places[rows], 1 if metric.higher_is_better else -1
    if large.sum() < 2:
        return WorseTest(name, np.full(len(slices), np.nan), np.full(len(slices), np.nan))
    if metric.flags is not None:
        values = metric.flags(scores)[rows].astype(np.float64)
        units = None if sample.groups is None else sample.groups[rows]
        means = means_of(values, places, len(slices), units)
        p = p_of_groups(values, places, len(slices), units, seed=seed)
        return WorseTest(name, p, sign * _behind(np.nan_to_num(means.value), means.images))
    weights = 2 * len(slices) * DRAWS * (metric.sorts(scores) if metric.sorts else len(scores))
    if sample.groups is not None or weights > MOST_WEIGHTS:
        return None
    return _shuffled(metric, name, scores.take(rows), places, len(slices), seed)


def _shuffled(metric: Metric[Any], name: str, scores: Judged, places: Integers, count: int, seed: int) -> WorseTest:
    p = p_of_figures(lambda weights: metric(scores, weights), places, count, seed=seed)
    inside = (places == np.arange(count)[:, None]).astype(np.float64)
    difference = metric(scores, 1 - inside) - metric(scores, inside)
    return WorseTest(name, p, np.where(np.isnan(p), np.nan, difference if metric.higher_is_better else -difference))


def _behind(mean: Floats, images: Floats | Integers) -> Floats:
    """By how much the mean of each group (G,) is below that of all images of the others; NaN without images."""
    total, rest = (mean * images).sum(), images.sum() - images
    others = (total - mean * images) / np.maximum(rest, 1)
    return np.where((images > 0) & (rest > 0), others - mean, np.nan)


def worst_of(
    slices: Slices, told: Sequence[Estimate], smallest: int, *, higher_is_better: bool = True
) -> tuple[int, Estimate] | None:
    """The judged group with the worst figure, with limits for the worst true one; None where none is judged."""
    judged = [
        (group, figure)
        for group, figure in enumerate(told)
        if figure.value is not None and slices.images[group] >= smallest
    ]
    if not judged:
        return None
    wider, sign = widened(len(judged)), 1 if higher_is_better else -1
    group, worst = min(judged, key=lambda pair: (sign * (pair[1].value or 0.0), pair[0]))
    limits = [
        (max(0.0, value - wider * (value - lo)), min(1.0, value + wider * (hi - value)))
        for value, lo, hi in ((figure.value, figure.lo, figure.hi) for _, figure in judged)
        if value is not None and lo is not None and hi is not None
    ]
    value, n = worst.value, int(slices.images[group])
    if len(limits) < len(judged):
        return group, Estimate(value, None, None, n, "no interval: some groups have none")
    lo, hi = ((min if higher_is_better else max)(ends) for ends in zip(*limits, strict=True))
    wide = f", widened for {len(judged)} groups" if len(judged) > 1 else ""
    return group, Estimate(value, lo, hi, n, f"{worst.method}{wide}")
