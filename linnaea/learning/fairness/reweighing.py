"""Weights that make groups and classes independent."""

import numpy as np

from linnaea.arrays import Float64, Integers
from linnaea.learning.fairness.contract import FAIRNESS, Fair


def reweighing(groups: Integers, targets: Integers) -> Float64:
    """Weigh each image by how many of its group and class there would be if both were independent, per one there is.

    Kamiran and Calders (2012): n_group n_class / (n n_both).
    """
    of_group, of_class = np.bincount(groups)[groups], np.bincount(targets)[targets]
    cells = groups * (targets.max() + 1) + targets
    both = np.bincount(cells)[cells]
    weights: Float64 = of_group * of_class / (len(targets) * both.astype(np.float64))
    return weights


FAIRNESS.register(
    "reweighing",
    title="Reweighing",
    meaning="Weigh images so that groups and classes are independent in training (Kamiran and Calders 2012).",
    order=10,
)(Fair("weights", reweighing, "Every class counts alike in every group, as far as a group has images of it."))
