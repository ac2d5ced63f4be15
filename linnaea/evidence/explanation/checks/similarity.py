"""How alike two maps are: by the order of their pixels, and by their structure."""

import numpy as np
from scipy.ndimage import uniform_filter

from linnaea.arrays import Floats

WINDOW = 7
FLAT = 1e-6  # a map whose values differ by less, as a share of its largest, says nothing


def is_flat(maps: Floats) -> Floats:
    """Whether each map (N, H, W) has one value everywhere, so that it points nowhere (N,)."""
    flat = maps.reshape(len(maps), -1)
    span, top = np.ptp(flat, axis=1), np.abs(flat).max(axis=1)
    return np.asarray(~(span > FLAT * np.maximum(top, np.finfo(np.float32).tiny)))


def rank_correlation(first: Floats, second: Floats) -> Floats:
    """Spearman's correlation of the pixels of two maps each (N, H, W), shape (N,), from -1 to 1.

    0 where only one of the two is flat, and not a number where the first is: it has nothing to be compared.
    """
    return np.array([_spearman(one, other) for one, other in zip(first, second, strict=True)])


def _spearman(one: Floats, other: Floats) -> float:
    ranks = np.stack([_ranks(values) for values in (one, other)])
    flat = [bool(is_flat(values[None])[0]) for values in (one, other)]
    if any(flat):
        return float("nan") if flat[0] else 0.0
    return float(np.asarray(np.corrcoef(ranks))[0, 1])


def _ranks(values: Floats) -> Floats:
    """The ranks of pixels, equal ones sharing theirs, without the half second that importing `scipy.stats` takes."""
    _, place, count = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    return np.asarray((count.cumsum() - (count - 1) / 2)[place])


def structure(first: Floats, second: Floats) -> Floats:
    """The structural similarity (Wang et al. 2004) of two maps each (N, H, W), shape (N,), from -1 to 1.

    Each map is brought to 0 to 1 first, as it is shown. Flat maps are treated as by `rank_correlation`.
    """
    return np.array([_ssim(one, other) for one, other in zip(first, second, strict=True)])


def _ssim(one: Floats, other: Floats) -> float:
    flat = [bool(is_flat(values[None])[0]) for values in (one, other)]
    if any(flat):
        return float("nan") if flat[0] else 0.0
    a, b = (((values - values.min()) / np.ptp(values)).astype(np.float64) for values in (one, other))
    side = min(WINDOW, *a.shape)
    count = side * side
    mean_a, mean_b, squares_a, squares_b, products = (uniform_filter(v, side) for v in (a, b, a * a, b * b, a * b))
    sample = count / max(count - 1, 1)
    spread_a, spread_b = sample * (squares_a - mean_a**2), sample * (squares_b - mean_b**2)
    shared = sample * (products - mean_a * mean_b)
    alike = (2 * mean_a * mean_b + 0.01**2) * (2 * shared + 0.03**2)
    most = (mean_a**2 + mean_b**2 + 0.01**2) * (spread_a + spread_b + 0.03**2)
    inner = slice((side - 1) // 2, -((side - 1) // 2) or None)
    return float((alike / most)[inner, inner].mean())
