"""Aims that weigh both kinds of mistake against each other without a number."""

from linnaea.arrays import Floats
from linnaea.evidence.aims.contract import AIMS, Aim, Cuts


def default(cuts: Cuts, _: tuple[float, ...]) -> Floats:
    """Of two classes the likelier, which is a threshold of one half; of several labels each by its highest F1."""
    return cuts.f1


def youden(cuts: Cuts, _: tuple[float, ...]) -> Floats:
    """The highest sum of sensitivity and specificity (Youden 1950): both kinds of mistake count by their rate."""
    return cuts.recall + cuts.specificity


def f1(cuts: Cuts, _: tuple[float, ...]) -> Floats:
    """The highest F1, which lies at half of itself where probabilities are true (Lipton et al. 2014)."""
    return cuts.f1


AIMS.register(
    "default",
    title="Usual threshold",
    meaning="Of two classes the likelier, which is a threshold of one half; of several labels each by its highest F1.",
    order=10,
)(Aim(default, doubtful=True))
AIMS.register(
    "youden",
    title="Youden's index",
    meaning="The highest sum of sensitivity and specificity (Youden 1950): both kinds of mistake count by their rate.",
    order=20,
)(Aim(youden, example="youden", doubtful=True))
AIMS.register(
    "f1",
    title="F1",
    meaning="The highest F1, which lies at half of itself where probabilities are true (Lipton et al. 2014).",
    order=30,
)(Aim(f1, example="f1", doubtful=True))
