"""What is told with an answer: how sure, how unfamiliar, how many classes are possible."""

from collections.abc import Callable

import numpy as np

from linnaea.arrays import Floats
from linnaea.delivery.monitoring.drift.contract import DRIFT_TESTS, Comparison, Drift
from linnaea.delivery.monitoring.seen import Seen
from linnaea.statistics.exchanging import distribution_distances, rarest


def _of_one(compared: Comparison, column: Callable[[Seen], Floats], said: Callable[[float, float], str]) -> Drift:
    """The drift of one column of numbers; `said` tells its mean in the reference and in the window."""
    distances = distribution_distances(compared.exchange, compared.pooled(column)[:, None])
    was, now = (float(np.nanmean(column(seen))) for seen in (compared.reference, compared.window))
    return Drift(distances[:, 0], said(was, now), float(distances[0, 0]), "largest distance of shares")


@DRIFT_TESTS.register("confidence", title="Confidence", needs=("logits",), order=70)
def confidence(compared: Comparison) -> Drift:
    """The distribution of the confidence of answers (Kolmogorov and Smirnov)."""
    return _of_one(
        compared,
        lambda seen: seen.confidence,
        lambda was, now: f"{'less' if now < was else 'more'} sure, mean confidence {now:.2f} instead of {was:.2f}",
    )


@DRIFT_TESTS.register("unfamiliar", title="Unfamiliarity", needs=("ood_scores",), order=80)
def unfamiliar(compared: Comparison) -> Drift:
    """The distribution of the OOD score, and the share of images that are called unfamiliar."""
    scores = distribution_distances(compared.exchange, compared.pooled(lambda seen: seen.ood_scores)[:, None])
    flags = compared.pooled(_unfamiliar)[:, None]
    rate = np.abs(compared.exchange.mean_differences(flags))
    was, now = (float(_unfamiliar(seen).mean()) for seen in (compared.reference, compared.window))
    what = f"{100 * now:.0f} % unfamiliar instead of {100 * was:.0f} %"
    return Drift(rarest(np.concatenate([scores, rate], axis=1)), what, now - was, "share of unfamiliar images")


def _unfamiliar(seen: Seen) -> Floats:
    return np.array([reason == "unfamiliar" for reason in seen.reasons], dtype=np.float32)


@DRIFT_TESTS.register("set_size", title="Set size", needs=("sets",), order=90)
def set_size(compared: Comparison) -> Drift:
    """How many classes the prediction sets hold."""
    return _of_one(
        compared,
        lambda seen: seen.set_sizes,
        lambda was, now: f"sets of {now:.2f} classes on average instead of {was:.2f}",
    )


@DRIFT_TESTS.register("unread", title="Images without an answer", order=100)
def unread(compared: Comparison) -> Drift:
    """The share of images that could not be read, or of which the model said what is not a number."""
    flags = compared.pooled(lambda seen: ~seen.readable)[:, None].astype(np.float32)
    was, now = (float((~seen.readable).mean()) for seen in (compared.reference, compared.window))
    values = np.abs(compared.exchange.mean_differences(flags))[:, 0]
    return Drift(values, f"{100 * now:.0f} % without an answer instead of {100 * was:.0f} %", now - was, "share")
