"""What an interval needs to know of a metric, a share of images or a mean over images."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from linnaea.arrays import Flags, Floats, Integers
from linnaea.evidence.metrics import Judged, Metric
from linnaea.evidence.metrics.contract import S
from linnaea.evidence.metrics.scores import ratio
from linnaea.predictions import Predictions
from linnaea.runtime.words import in_number
from linnaea.statistics.intervals import Statistic
from linnaea.statistics.shares import shares, slack_of_parts
from linnaea.statistics.spread import Bounds, Sample

# Beyond this many sorted weights for each part that is left out (some seconds for all) the first order is enough.
_SORTED_WEIGHTS = 4_000_000
# With fewer images than this of any class the first order is not enough, unless there are so many times more weights.
_FEW, _TOO_MANY = 10, 8
_ENOUGH_MISTAKES = 8
_UNSEEN = ", ignores mistakes not seen yet"


def sample_of(predictions: Predictions) -> Sample:
    """The images of the predictions, in groups where there is a `group` column that holds any together."""
    grouped = predictions.has("group")
    return Sample.of(len(predictions), predictions.column("group") if grouped else None)


def of_metric(metric: Metric[S], scores: S, sample: Sample) -> Statistic:
    """A metric on the scores; Wilson's limits for a plain share of images."""
    used = used_by(metric, scores)
    if metric.share:
        return of_share(*metric.share(scores), sample, "no images to compute it from")
    if metric.flags:
        return of_share(metric.flags(scores), used, sample, why_undefined(scores, used))
    figure = Jackknifed.of(metric, scores, used)
    caution = _few_behind(metric, figure, sample) if metric.parts else _caution(scores, used, sample)
    statistic = Statistic(
        figure.function,
        int(used.sum()),
        influence=figure.influence,
        slack=slack_of_parts(figure.values, figure.images * sample.density),
        bounds=metric.bounds,
        note=figure.note + caution,
        undefined=why_undefined(scores, used),
    )
    return statistic if metric.interval is None else _of_interval(statistic, metric.interval, scores, sample)


def _of_interval(
    statistic: Statistic, interval: Callable[[S, Integers], tuple[float, float]], scores: S, sample: Sample
) -> Statistic:
    limits = interval(scores, sample.unit_of) if statistic.images else (np.nan, np.nan)
    if np.isnan(limits).any():
        return statistic
    over = "" if sample.groups is None else f" over {sample.units:,} groups"
    return replace(statistic, limits=limits, method=f"inverted test{over}, corrected for what chance adds")


@dataclass(frozen=True, eq=False)
class Jackknifed:
    """A metric of some scores as it is told when images are left out: exactly, or to first order if it sorts too much.

    `function` maps weights (B, n) to figures (B,); `values` (C,) are the parts that it is the mean of, `images` (C,)
    the number behind each. `influence` (n,) is known to first order only.
    """

    function: Callable[[Floats], Floats]
    values: Floats
    images: Floats
    influence: Floats | None = None
    note: str = ""

    @classmethod
    def of(cls, metric: Metric[S], scores: S, used: Flags) -> "Jackknifed":
        """Of a metric of which only the `used` images (n,) play a part."""
        if metric.sorts and metric.linear and used.any() and sorts_too_much(metric, scores):
            linear = metric.linear(scores)
            few = linear.few(_FEW)
            if not few or metric.sorts(scores) > _TOO_MANY * _SORTED_WEIGHTS:
                note = f", to first order{', too narrow: some classes have few images' * few}"
                return cls(linear, linear.values, linear.images, linear.influence, note)
        values, images = metric.parts(scores) if metric.parts and used.any() else (np.full(1, np.nan), np.ones(1))
        return cls(lambda weights: metric(scores, weights), values, images)


def sorts_too_much(metric: Metric[S], scores: S) -> bool:
    """Whether the metric would sort so many weights per resample that it is told to first order."""
    return metric.sorts is not None and metric.sorts(scores) > _SORTED_WEIGHTS


def used_by(metric: Metric[S], scores: S) -> Flags:
    """Which images play a part in the metric (n,)."""
    return scores.counted & scores.readable if metric.readable_only else scores.counted


def of_share(flags: Flags, counted: Flags, sample: Sample, undefined: str) -> Statistic:
    """The share of the `counted` images (n,) for which `flags` (n,) holds, with Wilson's limits, also over groups."""
    images, grouped = int(counted.sum()), sample.groups is not None
    told = shares(
        np.zeros(images, dtype=np.int64),
        flags[counted].astype(np.float64),
        1,
        sample.unit_of[counted] if grouped else None,
    )
    known = not np.isnan(told.lo[0])
    return Statistic(
        _mean(flags.astype(np.float64), counted),
        images,
        limits=(float(told.lo[0]), float(told.hi[0])) if known else None,
        method=f"Wilson over {len(np.unique(sample.unit_of[counted])):,} groups" if grouped else "Wilson",
        bounds=(0.0, 1.0),
        undefined=undefined,
    )


def of_mean(
    values: Floats, counted: Flags, sample: Sample, undefined: str, bounds: Bounds = (0.0, np.inf)
) -> Statistic:
    """The mean over the `counted` images (n,) of `values` (n,), which lie between `bounds`."""
    images = int(counted.sum())
    mean = np.array([values[counted].mean() if images else np.nan])
    of_shares = bounds == (0.0, 1.0)
    alike = len(np.unique(values[counted])) == 1 and not of_shares
    return Statistic(
        _mean(values, counted),
        images,
        slack=slack_of_parts(mean, np.array([float(images)]) * sample.density) if of_shares else (0.0, 0.0),
        bounds=bounds,
        note=", ignores values not seen yet" if alike else "",
        undefined=undefined,
    )


def why_undefined(scores: Judged, used: Flags) -> str:
    """What a figure lacks that is not defined on the `used` images (n,)."""
    if used.any():
        return scores.lack(used)
    if not len(scores):
        return "no images"
    return "no readable images" if scores.counted.any() else "no images with a known label"


def _few_behind(metric: Metric[S], figure: "Jackknifed", sample: Sample) -> str:
    # By simulation intervals of means of curved parts cover 89 to 92 % in place of 95 % there.
    behind = figure.images[~np.isnan(figure.values)] * sample.density
    few = int((behind < metric.enough).sum())
    if 3 * few <= len(behind):
        return ""
    units = "images" if sample.groups is None else "groups"
    return f", too narrow: {few} of {len(behind)} parts rest on fewer than {metric.enough} {units}"


def _caution(scores: Judged, used: Flags, sample: Sample) -> str:
    # They carry most of a loss: by simulation intervals cover 81 to 92 % after fewer in place of 95 %, 2 % after none.
    mistakes = len(np.unique(sample.unit_of[used & ~scores.hits]))
    if mistakes >= _ENOUGH_MISTAKES:
        return ""
    where = "mistake" if sample.groups is None else "group"
    told = f"{mistakes} {in_number(mistakes, where)}{'' if sample.groups is None else ' with a mistake'}"
    return f", too narrow: only {told} seen" if mistakes else _UNSEEN


def _mean(values: Floats, counted: Flags) -> Callable[[Floats], Floats]:
    kept = np.where(counted, values, 0.0)
    chosen = counted.astype(np.float64)
    return lambda weights: ratio(weights @ kept, weights @ chosen)
