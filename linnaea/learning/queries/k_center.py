"""Images that lie far from all that is labelled, and from one another."""

import numpy as np

from linnaea.arrays import Float64, Floats, Integers
from linnaea.learning.queries.contract import QUERIES, Pool

AT_ONCE = 2**24  # distances held at a time


@QUERIES.register(
    "k_center",
    title="K-center greedy",
    meaning="The image furthest from all labelled ones, then the next, by features (Sener and Savarese 2018).",
    order=50,
    needs=("features", "known"),
)
def k_center(pool: Pool, count: int) -> Integers:
    """Each time the image that is furthest from labelled and chosen ones; the cover is at most twice the best."""
    features, known = pool.of("features"), pool.of("known")
    squares = np.einsum("nd,nd->n", features, features, dtype=np.float64)
    chosen: list[int] = []
    if not len(known):  # begin at the middle of the pool
        chosen.append(int(_nearest(features, squares, features.mean(axis=0, keepdims=True)).argmin()))
    nearest = _nearest(features, squares, known if len(known) else features[chosen])
    while len(chosen) < count:
        nearest[chosen] = -np.inf
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, _distances(features, squares, features[chosen[-1:]])[:, 0])
    return np.array(chosen, dtype=np.int64)


def _nearest(features: Floats, squares: Float64, centres: Floats) -> Float64:
    """The squared distance of each image (N,) to the nearest centre."""
    nearest = np.full(len(features), np.inf)
    step = max(1, AT_ONCE // max(1, len(features)))
    for start in range(0, len(centres), step):
        nearest = np.minimum(nearest, _distances(features, squares, centres[start : start + step]).min(axis=1))
    return nearest


def _distances(features: Floats, squares: Float64, centres: Floats) -> Float64:
    """Squared distances (N, C)."""
    own = np.einsum("cd,cd->c", centres, centres, dtype=np.float64)
    return np.asarray(np.maximum(squares[:, None] + own - 2.0 * (features @ centres.T), 0.0), dtype=np.float64)
