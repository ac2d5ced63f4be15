"""LIME and KernelSHAP: a linear model of which regions are left explains the answer by its coefficients."""

from itertools import product

import numpy as np

from linnaea.arrays import Array, Floats, Integers
from linnaea.evidence.explanation.black_box.covering import Answer, answered, mask_of, painted

WIDTH = 0.25
PENALTY = 1.0


def answers_of_regions(answer: Answer, image: Array, target: int, regions: Integers, kept: Array) -> Floats:
    """The probability of the class (M,) where the regions of each row of `kept` (M, D) are left."""
    return answered(answer, image, (mask_of(row, regions) for row in kept), target)


def lime_map(answer: Answer, image: Array, target: int, regions: Integers, *, evaluations: int, seed: int) -> Floats:
    """The coefficients (H, W) of a ridge regression on which regions are left (Ribeiro et al. 2016).

    Half of the regions are left on average; samples are weighted by the cosine distance to the whole image, as LIME
    does for images.
    """
    count = int(regions.max()) + 1
    kept = np.random.default_rng(seed).integers(0, 2, (evaluations, count)).astype(np.float64)
    kept[0] = 1
    said = answers_of_regions(answer, image, target, regions, kept)
    return painted(ridge(kept, said, closeness(kept)), regions)


def closeness(kept: Floats) -> Floats:
    """The weight (M,) of samples by the cosine distance of rows (M, D) of 0 and 1 to the row of ones."""
    distance = 1 - np.sqrt(kept.mean(axis=1))
    return np.asarray(np.exp(-np.square(distance / WIDTH) / 2))


def ridge(kept: Floats, said: Floats, weights: Floats, penalty: float = PENALTY) -> Floats:
    """The coefficients (D,) of a weighted ridge regression with an intercept."""
    share = weights / weights.sum()
    rows, values = kept - share @ kept, said - share @ said
    gram = rows.T @ (weights[:, None] * rows) + penalty * np.eye(kept.shape[1])
    return np.asarray(np.linalg.solve(gram, rows.T @ (weights * values)))


def kernel_shap_map(
    answer: Answer, image: Array, target: int, regions: Integers, *, evaluations: int, seed: int
) -> Floats:
    """The Shapley values (H, W) of the regions (Lundberg and Lee 2017): they add up to what covering all takes away.

    Exact where so many evaluations hold every subset, else from subsets drawn in pairs with their complements
    (Covert and Lee 2021).
    """
    count = int(regions.max()) + 1
    kept, weights = coalitions(count, evaluations - 2, seed)
    ends = np.array([np.zeros(count), np.ones(count)])
    nothing, *said, whole = answers_of_regions(answer, image, target, regions, np.vstack([ends[:1], kept, ends[1:]]))
    return painted(shapley(kept, np.array(said) - nothing, weights, whole - nothing), regions)


def coalitions(count: int, evaluations: int, seed: int) -> tuple[Floats, Floats]:
    """Subsets (M, D) of regions, neither empty nor whole, and their weights (M,) in the regression."""
    if count < 2:
        return np.zeros((0, count)), np.zeros(0)
    sizes = np.arange(1, count)
    of_size = (count - 1) / (sizes * (count - sizes))  # of all subsets of that size together
    if 2**count - 2 <= evaluations:
        every = np.array(list(product((0.0, 1.0), repeat=count)))[1:-1]
        taken = every.sum(axis=1).astype(np.int64)
        many = np.bincount(taken, minlength=count)
        return every, of_size[taken - 1] / many[taken]
    random = np.random.default_rng(seed)
    drawn = random.choice(sizes, size=evaluations // 2, p=of_size / of_size.sum())
    ranks = random.random((len(drawn), count)).argsort(axis=1).argsort(axis=1)
    half = (ranks < drawn[:, None]).astype(np.float64)
    kept = np.stack([half, 1 - half], axis=1).reshape(-1, count)
    return kept, np.ones(len(kept))


def shapley(kept: Floats, said: Floats, weights: Floats, total: float) -> Floats:
    """The coefficients (D,) without an intercept that add up to `total` and fit what is said (M,) best."""
    count = kept.shape[1]
    if count < 2:
        return np.full(count, total)
    share = weights / weights.sum()
    inverse = np.linalg.pinv(kept.T @ (share[:, None] * kept), rcond=1e-8, hermitian=True)  # of few samples singular
    solved = inverse @ np.stack([kept.T @ (share * said), np.ones(count)], axis=1)
    free, ones = solved.T
    return np.asarray(free - ones * (free.sum() - total) / ones.sum())
