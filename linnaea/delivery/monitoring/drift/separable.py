"""Embedding: a classifier that tries to tell the window from the reference."""

from linnaea.delivery.monitoring.drift.contract import DRIFT_TESTS, Comparison, Drift
from linnaea.statistics.embedded_samples import cross_fitted_separation


@DRIFT_TESTS.register("separable", title="Classifier two-sample test", needs=("embedding",), order=30)
def separable(compared: Comparison) -> Drift:
    """Whether a classifier, cross-fitted, can tell the window from the reference (Lopez-Paz and Oquab 2017)."""
    _, known = compared.embedded
    exchange = compared.exchange
    values, area = cross_fitted_separation(compared.gram, exchange, exchange.contrast(known), compared.seed)
    what = f"a classifier tells it from the reference for {100 * area:.0f} of 100 pairs, by chance 50"
    return Drift(values, what, area, "area under the ROC curve")
