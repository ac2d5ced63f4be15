"""Areas under ROC curves of many classes: each image against the others in its own class's probability, unsorted."""

import numpy as np

from linnaea.arrays import Floats, Integers
from linnaea.evidence.metrics.scores import Scores, ratio, totals

_CHEAPER = 50  # a comparison of two images costs so much less than sorting a weight, by measurement
_ELEMENTS = 2**20  # comparisons at once, 8 MB


def pays(images: int, classes: int) -> bool:
    """Whether comparing all pairs of images is quicker than sorting them once for each class."""
    return images < _CHEAPER * classes


def cost(scores: Scores) -> int:
    """The weights that could be sorted in the time that a resample takes in the quicker way."""
    images, classes = len(scores), scores.classes
    return min(images * classes, images * images // _CHEAPER)


def areas(scores: Scores, weights: Floats) -> Floats:
    """The area of each class (B, K) for weights (B, n), all images readable; NaN without its images or without others.

    Exact, as ties count half: the sum over pairs of an image of the class and one of another, which is a product of
    matrices, of the weights and of who is below whom.
    """
    positives = totals(weights, scores.targets, scores.classes)
    others = weights.sum(axis=1)[:, None] - positives
    won = np.zeros_like(positives)
    order = scores.targets.argsort(kind="stable")
    rows = max(1, _ELEMENTS // max(1, len(order)))
    for start in range(0, len(order), rows):
        part = order[start : start + rows]
        own = scores.targets[part]
        classes, starts = np.unique(own, return_index=True)
        won[:, classes] += np.add.reduceat(weights[:, part] * (weights @ _below(scores, part)), starts, axis=1)
    found = ratio(won, positives * others)
    images = np.bincount(scores.targets, minlength=scores.classes)
    found[:, (images == 0) | (images == len(order))] = np.nan
    return found


def _below(scores: Scores, part: Integers) -> Floats:
    """Whether each image (n,) of another class is below the images `part` (P,) in the class of these; (n, P)."""
    own = scores.targets[part]
    columns = scores.columns(own)
    mine = columns[part, np.arange(len(part))]
    below = (columns < mine).astype(np.float64)
    below += 0.5 * (columns == mine)
    below[scores.targets[:, None] == own] = 0
    return below
