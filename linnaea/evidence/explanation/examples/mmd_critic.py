"""Prototypes that stand for a class together, and criticisms that none of them stands for (Kim et al. 2016)."""

import numpy as np

from linnaea.arrays import Float64, Floats, Integers
from linnaea.evidence.explanation.examples.neighbours import unit_length

STEADY = 1e-9  # added to a diagonal, so that copies of an image do not make it singular


def similarity(features: Floats) -> Float64:
    """The Gaussian kernel (N, N) of features (N, D) at unit length; its width is the mean distance between them."""
    unit = unit_length(features)
    squared = np.clip(2 - 2 * unit @ unit.T, 0, 4)
    between = squared[np.triu_indices(len(squared), 1)]
    return np.asarray(np.exp(-squared / max(float(between.mean()), STEADY) if len(between) else -squared))


def prototypes(kernel: Float64, count: int) -> Integers:
    """The rows (m,), m at most `count`, whose mean lies nearest to that of all, chosen one by one.

    Each is the one that lowers the maximum mean discrepancy between the chosen and all the most, so that the first m
    are the same however many are asked for.
    """
    like_all, chosen = kernel.mean(axis=1), list[int]()
    for number in range(1, min(count, len(kernel)) + 1):
        inside = kernel[np.ix_(chosen, chosen)].sum()
        beside = kernel[:, chosen].sum(axis=1)
        gains = 2 * (like_all[chosen].sum() + like_all) / number
        losses = (inside + 2 * beside + np.diag(kernel)) / number**2
        gains[chosen] = -np.inf
        chosen.append(int(np.argmax(gains - losses)))
    return np.array(chosen, dtype=np.int64)


def criticisms(kernel: Float64, chosen: Integers, count: int) -> Integers:
    """The rows (c,), c at most `count`, where all images and the `chosen` prototypes differ most, one by one.

    By the witness function, with the logarithm of a determinant that keeps them apart from each other.
    """
    witness = np.abs(kernel.mean(axis=1) - kernel[:, chosen].mean(axis=1))
    left = [row for row in range(len(kernel)) if row not in set(chosen.tolist())]
    found: list[int] = []
    while left and len(found) < count:
        worth = [witness[[*found, row]].sum() + _log_determinant(kernel, [*found, row]) for row in left]
        found.append(left.pop(int(np.argmax(worth))))
    return np.array(found, dtype=np.int64)


def discrepancy(kernel: Float64, chosen: Integers) -> float:
    """The squared maximum mean discrepancy between the chosen rows and all, 0 where they say the same."""
    inside = kernel[np.ix_(chosen, chosen)].mean()
    return float(kernel.mean() - 2 * kernel[:, chosen].mean() + inside)


def _log_determinant(kernel: Float64, rows: list[int]) -> float:
    own = kernel[np.ix_(rows, rows)]
    return float(np.linalg.slogdet(own + STEADY * np.eye(len(rows)))[1])
