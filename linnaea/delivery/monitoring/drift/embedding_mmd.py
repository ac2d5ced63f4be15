"""Embedding: the maximum mean discrepancy."""

import numpy as np

from linnaea.delivery.monitoring.drift.contract import DRIFT_TESTS, Comparison, Drift
from linnaea.statistics.embedded_samples import kernel_discrepancy, median_distance, projected_discrepancy


@DRIFT_TESTS.register("embedding_mmd", title="Embedding, MMD", needs=("embedding",), order=10)
def embedding_mmd(compared: Comparison) -> Drift:
    """The distance of the mean embeddings in the space of a Gaussian kernel (Gretton et al. 2012)."""
    _, known = compared.embedded
    median = median_distance(compared.distances[np.ix_(known, known)], compared.seed)
    if compared.exchange.single:
        values = kernel_discrepancy(compared.distances, compared.exchange.contrast(known), median)
    else:
        values = projected_discrepancy(compared.exchange.in_order(), compared.projected, median)
    usual = float(np.median(values[1:]))
    times = values[0] / usual if usual > 0 else 1.0
    name = compared.embedding[0]
    return Drift(values, f"{name} {times:.1f} times as far off as by chance", float(values[0]), "MMD squared")
