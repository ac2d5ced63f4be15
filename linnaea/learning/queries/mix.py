"""Images in doubt, from each corner of the pool some."""

import warnings

import numpy as np

from linnaea.arrays import Integers
from linnaea.learning.queries.by_doubt import highest, margin_of
from linnaea.learning.queries.contract import QUERIES, Pool

WIDER, LEAST_WIDER, MANY = 10, 2, 5_000  # images in doubt for each that is chosen; fewer where they are many
ITERATIONS = 20
LEAST_DOUBT = 1e-6


@QUERIES.register(
    "mix",
    title="Doubt and diversity",
    meaning="Of ten times as many images in doubt, the one in most doubt of each cluster (after Zhdanov 2019).",
    order=15,
    needs=("features",),
)
def mix(pool: Pool, count: int) -> Integers:
    """One image of each of so many clusters, which k-means makes with doubt as weights; those in most doubt first."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    wanted = max(LEAST_WIDER * count, min(WIDER * count, MANY))
    rows = highest(-margin_of(pool), wanted, pool)
    if len(rows) <= count:
        return rows
    doubt = 1.0 - margin_of(pool)[rows]
    features = pool.of("features")[rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # where images are the same, clusters are fewer
        means = KMeans(count, n_init=1, max_iter=ITERATIONS, random_state=pool.seed)
        clusters = means.fit(features, sample_weight=doubt + LEAST_DOUBT).labels_
    first = np.sort(np.unique(clusters, return_index=True)[1])  # the rows are in the order of their doubt
    rest = np.setdiff1d(np.arange(len(rows)), first)[: count - len(first)]
    chosen: Integers = rows[np.concatenate([first, rest])]
    return chosen
