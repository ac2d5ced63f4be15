"""Draw the images of rare classes more often, or those of common ones less often; drawn anew for every epoch."""

import numpy as np

from linnaea.arrays import Integers
from linnaea.learning.balance.contract import BALANCERS, Balancer


def oversample(targets: Integers, random: np.random.Generator) -> Integers:
    """Repeat the images of each class until it has as many as the largest."""
    most = int(np.bincount(targets).max())
    return np.concatenate([_repeated(rows, most, random) for rows in _by_class(targets)])


def undersample(targets: Integers, random: np.random.Generator) -> Integers:
    """Take as many images of each class as the smallest has, others in every epoch."""
    least = min(len(rows) for rows in _by_class(targets))
    return np.concatenate([random.permutation(rows)[:least] for rows in _by_class(targets)])


def _repeated(rows: Integers, most: int, random: np.random.Generator) -> Integers:
    """All rows as often as they fit into `most`, and a random part of them once more."""
    return np.concatenate([np.tile(rows, most // len(rows)), random.permutation(rows)[: most % len(rows)]])


def _by_class(targets: Integers) -> list[Integers]:
    return [np.flatnonzero(targets == number) for number in np.unique(targets)]


BALANCERS.register(
    "oversample", title="Oversampling", meaning="Repeat the images of each class until it has as many as the largest."
)(Balancer("draws", oversample))
BALANCERS.register(
    "undersample",
    title="Undersampling",
    meaning="Take as many images of each class as the smallest has, others in every epoch.",
)(Balancer("draws", undersample))
