"""What answers are worth where positives are more or less frequent than among the images they were counted on."""

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from linnaea.arrays import Floats
from linnaea.errors import UsageError
from linnaea.evidence.metrics import Scores
from linnaea.evidence.metrics.two_classes import negatives, positives, sensitivity, specificity
from linnaea.runtime.arguments import require_share
from linnaea.statistics.intervals import Statistic
from linnaea.statistics.spread import Sample, Z


def require_prevalence(task: str, prevalence: float | None) -> None:
    """Raise UsageError for a prevalence that is not a share, or of a task that has no positive class."""
    if prevalence is None:
        return
    if task != "binary":
        raise UsageError(
            f"a prevalence is that of the positive class of two, but the task is {task}: leave it out, or correct the "
            "probabilities by linnaea.adapt_prior."
        )
    require_share("prevalence", prevalence, 0.01)


def at_prevalence(scores: Scores, sample: Sample, prevalence: float) -> dict[str, Statistic]:
    """`ppv_at_prevalence_x` and `npv_at_prevalence_x`: what answers are worth where positives have the share x.

    By Bayes' rule from sensitivity and specificity, which do not depend on it. Limits by Mercaldo et al. (2007), on
    the logit, with z²/2 images of either kind added to a rate of which one was not seen; of groups by the jackknife.
    """
    found = _counts(scores, positives(scores))
    spared = _counts(scores, negatives(scores))
    statistics = {}
    for name, (right, wrong), share in (("ppv", (found, spared), prevalence), ("npv", (spared, found), 1 - prevalence)):
        images = int(right[1] + wrong[1])
        value = _predictive(right[0] / right[1], wrong[0] / wrong[1], share) if right[1] and wrong[1] else np.nan
        lo, hi = _limits(right, wrong, share) if not np.isnan(value) else (np.nan, np.nan)
        wide = (value - lo, hi - value) if 0 in (right[1] - right[0], wrong[1] - wrong[0]) else (0.0, 0.0)
        statistics[f"{name}_at_prevalence_{prevalence:g}"] = Statistic(
            partial(_resampled, scores, share, name == "ppv"),
            images,
            limits=(min(lo, value), max(hi, value)) if sample.groups is None and not np.isnan(value) else None,
            method="logit, Mercaldo et al.",
            slack=wide,
            bounds=(0.0, 1.0),
            undefined="no images of one class, or never answered",
        )
    return statistics


def _counts(scores: Scores, kind: npt.NDArray[np.bool_]) -> tuple[float, float]:
    return float((scores.hits & kind).sum()), float(kind.sum())


def _resampled(scores: Scores, share: float, of_yes: bool, weights: Floats) -> Floats:
    found, spared = sensitivity(scores, weights), specificity(scores, weights)
    return np.asarray(_predictive(found, spared, share) if of_yes else _predictive(spared, found, share))


def _predictive(right: Any, other: Any, share: float) -> Any:
    """The share of right answers: `right` of their own kind are answered so, `other` of the other kind are not."""
    true, false = np.asarray(right * share), np.asarray((1 - other) * (1 - share))
    value = np.full(np.broadcast_shapes(true.shape, false.shape), np.nan)
    np.divide(true, true + false, out=value, where=true + false > 0)
    return value if value.shape else float(value)


def _limits(right: tuple[float, float], other: tuple[float, float], share: float) -> tuple[float, float]:
    right, other = ((k + Z**2 / 2, n + Z**2) if k in (0, n) else (k, n) for k, n in (right, other))
    own, rest = right[0] / right[1], other[0] / other[1]
    middle = logit(_predictive(own, rest, share))
    half = Z * np.sqrt((1 - own) / (own * right[1]) + rest / ((1 - rest) * other[1]))
    return float(expit(middle - half)), float(expit(middle + half))
