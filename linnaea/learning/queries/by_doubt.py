"""The images that a classifier is least sure of, one by one."""

import numpy as np
from scipy.special import entr

from linnaea.arrays import Floats, Integers
from linnaea.learning.queries.contract import QUERIES, Pool

LEAST = 1e-12  # a probability below which its logarithm is not taken


def entropy_of(pool: Pool) -> Floats:
    """Entropy in nats (N,); of several labels the sum over them."""
    shares = pool.probabilities.astype(np.float64)
    nats = entr(shares) + entr(1 - shares) if pool.several else entr(shares)
    return np.asarray(nats.sum(axis=1))


def margin_of(pool: Pool) -> Floats:
    """How far the first class is before the second (N,), 0 to 1; of several labels, for the one in most doubt."""
    shares = pool.probabilities.astype(np.float64)
    if pool.several:
        return np.asarray(np.abs(2 * shares - 1).min(axis=1))
    if shares.shape[1] < 2:
        return np.zeros(len(shares))
    two = np.partition(shares, -2, axis=1)[:, -2:]
    return np.asarray(two[:, 1] - two[:, 0])


def confidence_of(pool: Pool) -> Floats:
    """The probability of the answer (N,); of several labels that of all of them together being right."""
    shares = pool.probabilities.astype(np.float64)
    if not pool.several:
        return np.asarray(shares.max(axis=1))
    return np.asarray(np.log(np.clip(np.maximum(shares, 1 - shares), LEAST, 1.0)).sum(axis=1))


def highest(scores: Floats, count: int, pool: Pool) -> Integers:
    """The rows of the highest scores (N,), equal ones in random order."""
    return np.lexsort((pool.random.random(len(pool)), -scores))[:count].astype(np.int64)


@QUERIES.register(
    "entropy", title="Entropy", meaning="The images whose answer has the highest entropy (Shannon 1948).", order=20
)
def entropy(pool: Pool, count: int) -> Integers:
    """The highest entropy first."""
    return highest(entropy_of(pool), count, pool)


@QUERIES.register(
    "margin",
    title="Margin",
    meaning="The images whose first two classes are closest to each other (Scheffer et al. 2001).",
    order=10,
)
def margin(pool: Pool, count: int) -> Integers:
    """The smallest margin first."""
    return highest(-margin_of(pool), count, pool)


@QUERIES.register(
    "least_confident",
    title="Least confident",
    meaning="The images whose answer is least probable (Lewis and Gale 1994).",
    order=30,
)
def least_confident(pool: Pool, count: int) -> Integers:
    """The lowest confidence first."""
    return highest(-confidence_of(pool), count, pool)


@QUERIES.register(
    "bald",
    title="BALD",
    meaning="The images that members disagree about: mutual information of answer and member (Houlsby et al. 2011).",
    order=40,
    needs=("information",),
)
def bald(pool: Pool, count: int) -> Integers:
    """The most information first."""
    return highest(pool.of("information"), count, pool)
