"""The direction of a concept among a network's activations, and whether a class depends on it more than on chance."""

from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from linnaea.arrays import Float64, Floats

RIDGE = 0.1  # of the mean square of activations


def told_apart(concept: Floats, others: Floats) -> float:
    """The share of images, 0 to 1, that a linear classifier of activations (n, C) against (m, C) tells apart.

    By ridge regression; each image is judged by the classifier of all the rest, in closed form.
    """
    inputs = np.concatenate([concept, others]).astype(np.float64)
    signs = np.repeat([1.0, -1.0], [len(concept), len(others)])
    centred = inputs - inputs.mean(axis=0)
    products = centred @ centred.T
    ridge = max(RIDGE * float(np.trace(products)) / len(inputs), 1e-12)
    hat = products @ np.linalg.inv(products + ridge * np.eye(len(inputs))) + 1 / len(inputs)
    left_out = signs - (signs - hat @ signs) / np.clip(1 - np.diag(hat), 1e-9, None)
    return float((left_out * signs > 0).mean())


def directions(concept: Floats, others: Floats, size: int, repeats: int, random: np.random.Generator) -> Float64:
    """The ways (R, C) from `repeats` draws of `size` of the others (P, C) to as many of a concept (n, C).

    The difference of their means, which is what the concept changes, rather than the normal of a classifier, which
    also turns away from whatever else disturbs it (Pahde et al. 2022). Its length counts: chance differs by less.
    """

    def mean_of_some(images: Floats) -> Floats:
        drawn: Floats = images[random.permutation(len(images))[:size]].mean(axis=0)
        return drawn

    return np.array([mean_of_some(concept) - mean_of_some(others) for _ in range(repeats)], dtype=np.float64)


def chance_directions(others: Floats, size: int, draws: int, repeats: int, random: np.random.Generator) -> Float64:
    """Those (M, R, C) of M draws of `size` of the others (P, C), each against draws of the rest."""
    found = []
    for _ in range(draws):
        order = random.permutation(len(others))
        found.append(directions(others[order[:size]], others[order[size:]], size, repeats, random))
    return np.array(found)


class Sensitivity(NamedTuple):
    """How a class depends on a concept: the share of its images that more of the concept speaks for, and its strength.

    `value` is the mean change of the raw score by the concept, to first order; `p` the two-sided probability of one so
    far from those by sets of random images.
    """

    share: float
    value: float
    p: float


def sensitivity(gradients: Floats, of_concept: Floats, of_chance: Floats) -> Sensitivity:
    """From the gradients of a class's score (n, C), directions of the concept (R, C) and of random sets (M, R, C).

    By Student's t for one more draw beside M: the concept's pictures are one draw, however often they are compared with
    other counterparts (the t test of Kim et al. 2018 between such repeats would take those for independent).
    """
    along = np.asarray(gradients, dtype=np.float64) @ of_concept.T
    value, chance = float(along.mean()), (of_chance @ np.asarray(gradients).mean(axis=0)).mean(axis=1)
    deviation = float(chance.std(ddof=1)) * np.sqrt(1 + 1 / len(chance))
    away = abs(value - float(chance.mean()))
    p = 2 * float(student.sf(away / deviation, len(chance) - 1)) if deviation > 0 else float(away == 0)
    return Sensitivity(float((along > 0).mean()), value, p)
