"""Do two samples of vectors differ? Distances between their distributions, as seen and in draws of an `Exchange`.

Each function gives (B + 1,) values, first that of the samples as they were seen. Of up to a few thousand vectors the
distances of all pairs are used; of more, random projections, whose sums over blocks of vectors change sides.
"""

import numpy as np
from scipy.linalg import solve
from scipy.special import gammaln

from linnaea.arrays import Flags, Float32, Floats
from linnaea.statistics.exchanging import Exchange, quantiles_of

PAIRS = 100_000  # of which the median distance is taken
PLACES = 9  # into which projections are parted
DIRECTIONS = 8  # that are looked at together
FEWEST = 2  # vectors of a fold
SMALLEST = 1e-9


def median_distance(distances: Float32, seed: int = 0) -> float:
    """The median of squared distances (G, G) of different vectors, of 100,000 pairs at most; 1 where all are equal."""
    random, count = np.random.default_rng(seed), len(distances)
    if count < 2:
        return 1.0
    one = random.integers(0, count, PAIRS)
    other = (one + random.integers(1, count, PAIRS)) % count
    middle = float(np.median(distances[one, other]))
    return middle if middle > 0 else float(distances.mean()) or 1.0


def kernel_discrepancy(distances: Float32, contrast: Float32, median: float) -> Floats:
    """The squared maximum mean discrepancy with a Gaussian kernel as wide as the median distance (Gretton et al. 2012).

    `distances` (G, G) are squared, `contrast` (B + 1, G) as of `Exchange.contrast`.
    """
    return _quadratic(np.exp(distances / np.float32(-2 * median)), contrast)


def energy_distance(distances: Float32, contrast: Float32) -> Floats:
    """The energy distance (Szekely and Rizzo 2013) of two samples; `distances` (G, G) are squared."""
    return -_quadratic(np.sqrt(distances), contrast)


def _quadratic(matrix: Float32, contrast: Float32) -> Floats:
    return np.asarray(np.einsum("bg,bg->b", contrast @ matrix, contrast, dtype=np.float64))


def projected_discrepancy(exchange: Exchange, projected: Float32, median: float) -> Floats:
    """As `kernel_discrepancy`, by random Fourier features (Rahimi and Recht 2007) of all vectors.

    `projected` (N, P) are vectors along P directions of standard normal entries.
    """
    waves = projected / np.float32(np.sqrt(median))
    parts = [exchange.mean_differences(function(waves)) for function in (np.cos, np.sin)]
    squares = np.stack([np.square(part).sum(axis=1, dtype=np.float64) for part in parts])
    return np.asarray(squares.sum(axis=0) / projected.shape[1])


def projected_energy(exchange: Exchange, projected: Float32, dimensions: int) -> Floats:
    """As `energy_distance`: the mean over directions of the squared distance of distributions along each.

    `projected` (N, P) are vectors of so many `dimensions` along directions of standard normal entries, whose squared
    lengths are about as many.
    """
    total = np.zeros(len(exchange.inside))
    for start in range(0, projected.shape[1], DIRECTIONS):
        values = projected[:, start : start + DIRECTIONS]
        places = quantiles_of(values[exchange.picked], PLACES)
        squares = np.square(exchange.share_differences(values, places))
        total += squares.reshape(len(total), -1) @ np.gradient(places, axis=1).ravel()
    shortened = np.exp(gammaln(dimensions / 2) - gammaln((dimensions + 1) / 2)) / np.sqrt(np.pi)
    return np.asarray(2 * total / projected.shape[1] / shortened / np.sqrt(dimensions))


def cross_fitted_separation(
    gram: Float32, exchange: Exchange, contrast: Float32, seed: int = 0
) -> tuple[Floats, float]:
    """How well a linear classifier tells the samples apart on the half it was not fitted on (Lopez-Paz, Oquab 2017).

    `gram` (G, G) are products of scaled vectors. The classifier is a ridge regression, whose answers are linear in who
    is on which side, so that it is fitted anew in every draw. Given are the differences of its mean scores in standard
    deviations (B + 1,), and, as it was seen, the probability that an image of the window scores higher than one of the
    reference (the area under the ROC curve).
    """
    count = len(gram)
    half = np.random.default_rng((seed, 2)).permutation(count) < count // 2
    values = np.zeros((len(contrast),))
    areas, weights = [], []
    for fold in (half, ~half):
        if fold.sum() < FEWEST or (~fold).sum() < FEWEST:
            continue
        inner = gram[np.ix_(~fold, ~fold)]
        ridge = np.eye(len(inner), dtype=np.float32) * np.float32(max(inner.diagonal().mean(), SMALLEST))
        fitted = solve(inner + ridge, _balanced(contrast[:, ~fold]).T, assume_a="pos", check_finite=False)
        scores = fitted.T @ gram[np.ix_(~fold, fold)]
        own = _balanced(contrast[:, fold])
        spread = scores.std(axis=1)
        values += np.einsum("bg,bg->b", scores, own) / np.where(spread > SMALLEST, spread, 1.0)
        areas.append(_area(scores[0], exchange.inside[0, fold] > 0))
        weights.append(fold.sum())
    return values / max(len(areas), 1), float(np.average(areas, weights=weights)) if areas else 0.5


def _balanced(contrast: Float32) -> Float32:
    """Weights (B, g) that sum to one on either side within part of the vectors."""
    own, other = np.maximum(contrast, 0), np.maximum(-contrast, 0)
    sums = [np.maximum(side.sum(axis=1, keepdims=True), np.float32(SMALLEST)) for side in (own, other)]
    return np.asarray(own / sums[0] - other / sums[1], dtype=np.float32)


def _area(scores: Floats, inside: Flags) -> float:
    """The area under the ROC curve of scores (g,), with equal ones counted half."""
    own, other = scores[inside], np.sort(scores[~inside])
    if not len(own) or not len(other):
        return 0.5
    below = sum(np.searchsorted(other, own, side=side) for side in ("left", "right"))
    return float(np.mean(below) / (2 * len(other)))
