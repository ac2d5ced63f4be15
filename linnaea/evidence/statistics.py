"""What resampling needs to know of a metric, a share of images or a mean over images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from linnaea.evidence.intervals import Sample, Statistic, slack_of_parts, wilson
from linnaea.evidence.metrics import Judged, Metric
from linnaea.evidence.metrics.contract import S
from linnaea.evidence.metrics.scores import Flags, ratio
from linnaea.predictions import Predictions
from linnaea.runtime.words import in_number
from linnaea.task import Floats

# Beyond this many sorted weights per resample (a thousand of them take some ten seconds) the first order is enough.
_SORTED_WEIGHTS = 2_000_000
# With fewer images than this of any class the first order is not enough, unless there are so many times more weights.
_FEW, _TOO_MANY = 10, 20
_ENOUGH_MISTAKES = 10
_UNSEEN = ", blind to mistakes not seen yet"


def sample_of(predictions: Predictions) -> Sample:
    """The images of the predictions, in groups where there is a `group` column that holds any together."""
    grouped = predictions.has("group")
    return Sample.of(len(predictions), predictions.column("group") if grouped else None)


def of_metric(metric: Metric[S], scores: S, sample: Sample) -> Statistic:
    """A metric on the scores; Wilson's limits for a plain share of images that come without groups."""
    used = used_by(metric, scores)
    if metric.share:
        return of_share(*metric.share(scores), sample, "no images that it is a share of")
    if metric.flags:
        return of_share(metric.flags(scores), used, sample, why_undefined(scores, used))
    figure = Resampled.of(metric, scores, used)
    return Statistic(
        figure.function,
        int(used.sum()),
        slack=slack_of_parts(figure.values, figure.images * sample.density),
        bias=figure.bias,
        bounds=(0.0, 1.0) if metric.parts else (0.0, np.inf),
        note=figure.note if metric.parts else _caution(int((~scores.hits[used]).sum())),
        undefined=why_undefined(scores, used),
    )


@dataclass(frozen=True, eq=False)
class Resampled:
    """A metric of some scores as it is told from resamples: exactly, or to first order where it sorts too much.

    `function` maps weights (B, n) to figures (B,); `values` (C,) are the parts that it is the mean of, `images` (C,)
    the number behind each, `bias` how far it tends to lie above the truth.
    """

    function: Callable[[Floats], Floats]
    values: Floats
    images: Floats
    bias: float
    note: str = ""

    @classmethod
    def of(cls, metric: Metric[S], scores: S, used: Flags) -> "Resampled":
        """Of a metric of which only the `used` images (n,) play a part."""
        if metric.sorts and metric.linear and used.any() and sorts_too_much(metric, scores):
            linear = metric.linear(scores)
            bias, few = linear.bias if metric.bias else 0.0, linear.few(_FEW)
            if not few or metric.sorts(scores) > _TOO_MANY * _SORTED_WEIGHTS:
                note = f", to first order{', too narrow: some classes have few images' * few}"
                return cls(linear, linear.values, linear.images, bias, note)
        values, images = metric.parts(scores) if metric.parts and used.any() else (np.full(1, np.nan), np.ones(1))
        bias = metric.bias(scores) if metric.bias and used.any() else 0.0
        return cls(lambda weights: metric(scores, weights), values, images, bias)


def sorts_too_much(metric: Metric[S], scores: S) -> bool:
    """Whether the metric would sort so many weights per resample that it is told to first order."""
    return metric.sorts is not None and metric.sorts(scores) > _SORTED_WEIGHTS


def used_by(metric: Metric[S], scores: S) -> Flags:
    """Which images play a part in the metric (n,)."""
    return scores.counted & scores.readable if metric.readable_only else scores.counted


def of_share(flags: Flags, counted: Flags, sample: Sample, undefined: str) -> Statistic:
    """The share of the `counted` images (n,) for which `flags` (n,) holds."""
    images = int(counted.sum())
    share, count = np.array([flags[counted].mean() if images else np.nan]), np.array([float(images)])
    return Statistic(
        _mean(flags.astype(np.float64), counted),
        images,
        limits=_wilson_limits(share, count) if images and sample.groups is None else None,
        slack=slack_of_parts(share, count * sample.density),
        bounds=(0.0, 1.0),
        undefined=undefined,
    )


def of_shares(values: Floats, counted: Flags, sample: Sample, undefined: str) -> Statistic:
    """The mean over the `counted` images (n,) of a share of each, `values` (n,) in [0, 1]."""
    images = int(counted.sum())
    mean = np.array([values[counted].mean() if images else np.nan])
    return Statistic(
        _mean(values, counted),
        images,
        slack=slack_of_parts(mean, np.array([float(images)]) * sample.density),
        bounds=(0.0, 1.0),
        undefined=undefined,
    )


def of_mean(values: Floats, counted: Flags, undefined: str) -> Statistic:
    """The mean of `values` (n,) over the `counted` images (n,)."""
    note = ", blind to values not seen yet" if len(np.unique(values[counted])) == 1 else ""
    return Statistic(_mean(values, counted), int(counted.sum()), note=note, undefined=undefined)


def why_undefined(scores: Judged, used: Flags) -> str:
    """What a figure lacks that is not defined on the `used` images (n,)."""
    if used.any():
        return scores.lack(used)
    if not len(scores):
        return "no images"
    return "no readable images" if scores.counted.any() else "no images of which any label is known"


def _caution(mistakes: int) -> str:
    # Few mistakes carry most of a loss: by simulation such intervals cover 70 to 90 % in place of 95 %.
    if mistakes >= _ENOUGH_MISTAKES:
        return ""
    return f", too narrow: only {mistakes} {in_number(mistakes, 'mistake')} seen" if mistakes else _UNSEEN


def _mean(values: Floats, counted: Flags) -> Callable[[Floats], Floats]:
    kept = np.where(counted, values, 0.0)
    chosen = counted.astype(np.float64)
    return lambda weights: ratio(weights @ kept, weights @ chosen)


def _wilson_limits(share: Floats, images: Floats) -> tuple[float, float]:
    lo, hi = wilson(share * images, images)
    return float(lo[0]), float(hi[0])
