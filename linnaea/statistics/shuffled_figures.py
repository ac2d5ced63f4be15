"""Does a figure that is no mean over images differ between groups? A test that shuffles the groups among the images."""

from collections.abc import Callable

import numpy as np
from scipy.special import ndtr

from linnaea.arrays import Floats, Integers

DRAWS = 400
AT_ONCE = 2**22


def p_of_figures(
    function: Callable[[Floats], Floats], places: Integers, count: int, *, draws: int = DRAWS, seed: int = 0
) -> Floats:
    """The p-value of each group (G,) for its figure differing from that of all others together.

    `function` maps weights (B, n) of the images to figures (B,), NaN where one is not defined. The groups `places` (n,)
    are shuffled among the images, and the largest difference of any group, in standard errors of its own, is compared
    (Westfall and Young 1993): corrected for there being G of them. Beyond all draws the tail is that of a normal
    distribution, by Bonferroni's correction. NaN for a group without a figure.
    """
    random = np.random.default_rng(seed)
    own = _differences(function, places[None], count)
    rows = max(1, AT_ONCE // max(len(places) * count, 1))
    drawn = np.concatenate(
        [
            _differences(function, np.stack([random.permutation(places) for _ in range(size)]), count)
            for start in range(0, draws, rows)
            for size in [min(rows, draws - start)]
        ]
    )
    far = _distances(np.concatenate([own, drawn]))  # what was found is one of the draws where nothing differs
    beyond = (far[1:].max(axis=1)[:, None] >= far[0] - 1e-9).sum(axis=0)
    p = (beyond + 1) / (draws + 1)
    centre, error = _moments(drawn)
    tail = 2 * count * ndtr(-np.abs(own[0] - centre) / np.where(error > 1e-12, error, np.inf))
    return np.where(np.isnan(own[0]), np.nan, np.where(beyond == 0, np.minimum(p, tail), p))


def _distances(differences: Floats) -> Floats:
    """How far each (B, G) lies from the mean of its group, in standard errors; 0 where it is not defined."""
    mean, error = _moments(differences)
    known = ~np.isnan(differences) & (error > 1e-12)
    return np.where(known, np.abs(differences - mean) / np.where(error > 1e-12, error, 1.0), 0.0)


def _moments(drawn: Floats) -> tuple[Floats, Floats]:
    """The mean and the standard deviation of each difference (G,) over draws (B, G) in which it is defined."""
    known = ~np.isnan(drawn)
    images = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, drawn, 0.0).sum(axis=0) / images
    return mean, np.sqrt(np.where(known, (drawn - mean) ** 2, 0.0).sum(axis=0) / images)


def _differences(function: Callable[[Floats], Floats], places: Integers, count: int) -> Floats:
    """The figure of each group less that of the others (B, G), for several ways (B, n) to put images into groups."""
    inside = (places[:, None, :] == np.arange(count)[:, None]).astype(np.float64).reshape(-1, places.shape[1])
    return np.asarray(function(inside) - function(1 - inside)).reshape(len(places), count)
