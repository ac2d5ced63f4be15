"""Which images of training lie nearest in a classifier's feature space."""

from typing import NamedTuple

import numpy as np

from linnaea.arrays import Flags, Float64, Floats, Integers

EMPTY = 1e-12  # a vector shorter than this has no direction


class Neighbours(NamedTuple):
    """The `rows` (Q, k) of the examples nearest to each of Q queries, the nearest first, and their `distances`.

    Distances are one less the cosine, 0 to 2. Where there were fewer than k, rows are -1 and distances NaN.
    """

    rows: Integers
    distances: Float64


def unit_length(features: Floats) -> Float64:
    """Features (N, D) at unit length; zeros stay zeros, and lie at a distance of 1 from everything."""
    exact = np.asarray(features, dtype=np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return np.asarray(np.divide(exact, lengths, out=np.zeros_like(exact), where=lengths > EMPTY))


def nearest(queries: Floats, examples: Floats, count: int, allowed: Flags | None = None) -> Neighbours:
    """The `count` examples (N, D) nearest to each query (Q, D) by the cosine.

    `allowed` (Q, N) says which of them a query may be given (None: all). Of equally near ones the first comes first.
    """
    distances = np.clip(1 - unit_length(queries) @ unit_length(examples).T, 0, 2)
    if allowed is not None:
        distances = np.where(allowed, distances, np.nan)
    rows = np.full((len(queries), count), -1, dtype=np.int64)
    found = np.full((len(queries), count), np.nan)
    order = np.argsort(distances, axis=1, kind="stable")[:, :count]  # NaN comes last
    sorted_distances = np.take_along_axis(distances, order, axis=1)
    there = ~np.isnan(sorted_distances)
    rows[:, : order.shape[1]] = np.where(there, order, -1)
    found[:, : order.shape[1]] = sorted_distances
    return Neighbours(rows, found)
