"""Embedding: the energy distance."""

import numpy as np

from linnaea.delivery.monitoring.drift.contract import DRIFT_TESTS, Comparison, Drift
from linnaea.statistics.embedded_samples import energy_distance, projected_energy


@DRIFT_TESTS.register("energy", title="Embedding, energy distance", needs=("embedding",), order=20)
def energy(compared: Comparison) -> Drift:
    """How much farther images of the two sides lie from each other than from their own (Szekely and Rizzo 2013).

    Its effect is the share of the mean distance between the sides, from 0 for equal distributions to 1.
    """
    values, known = compared.embedded
    contrast = compared.exchange.contrast(known)
    if compared.exchange.single:
        found = energy_distance(compared.distances, contrast)
    else:
        found = projected_energy(compared.exchange.in_order(), compared.projected, values.shape[1])
    own, other = np.maximum(contrast[0], 0), np.maximum(-contrast[0], 0)
    between = 2 * float(own @ np.sqrt(compared.distances) @ other)
    share = float(np.clip(found[0] / between, 0, 1)) if between > 0 else 0.0
    usual = float(np.median(found[1:])) / between if between > 0 else 0.0
    told = f"{100 * share:.1f} % of the distance between images, by chance {100 * usual:.1f} %"
    return Drift(found, f"{compared.embedding[0]} off by {told}", share, "share of the distance")
