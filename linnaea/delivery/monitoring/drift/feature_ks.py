"""Each feature by itself."""

import numpy as np

from linnaea.delivery.monitoring.drift.columns import columns_drift
from linnaea.delivery.monitoring.drift.contract import DRIFT_TESTS, Comparison, Drift
from linnaea.statistics.exchanging import distribution_distances

MANY, FEW_PLACES, PLACES = 64, 8, 32


@DRIFT_TESTS.register("feature_ks", title="Single features, Kolmogorov-Smirnov", needs=("embedding",), order=40)
def feature_ks(compared: Comparison) -> Drift:
    """The distribution of each feature or logit, corrected for their number and dependence (Westfall and Young 1993).

    Of many features the distributions are compared at seven quantiles, of very many images at one of each block.
    """
    kind, _ = compared.embedding
    values, known = compared.embedded
    own = np.where(known[:, None], values, np.float32(np.nan))
    places = FEW_PLACES if values.shape[1] > MANY else PLACES
    distances = distribution_distances(compared.exchange.of_picked(), own, places)
    named = kind == "logits"
    names = list(compared.classes) if named else [f"feature {number}" for number in range(values.shape[1])]

    def said(place: int) -> str:
        what = f"logit of {names[place]}" if named else names[place]
        return f"{what} off by {100 * distances[0, place]:.0f} points"

    return columns_drift(distances, names, said)
