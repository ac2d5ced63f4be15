"""The aim of the lowest cost."""

import numpy as np

from linnaea.arrays import Floats
from linnaea.evidence.aims.contract import AIMS, Aim, Cuts, number


def cost(cuts: Cuts, amounts: tuple[float, ...]) -> Floats:
    """The lowest cost, `cost=1:5` for a false positive and a false negative (Elkan 2001).

    Or all four costs, a row of the matrix after the other: of a true negative, a false positive, a false negative and
    a true positive, such as `cost=0:1:5:-2`.
    """
    right_no, wrong_yes, wrong_no, right_yes = amounts
    of_negatives = right_no * (cuts.negatives - cuts.mistaken) + wrong_yes * cuts.mistaken
    of_positives = wrong_no * (cuts.positives - cuts.found) + right_yes * cuts.found
    return np.asarray(-(of_negatives + of_positives))


def _costs(text: str) -> tuple[float, ...]:
    wanted = "two costs above 0, of a false positive and of a false negative, or all four, mistakes costing more"
    values = tuple(number(part, wanted) for part in text.split(":"))
    if len(values) == 2:
        values = (0.0, *values, 0.0)
    if len(values) != 4 or not (values[1] > values[0] and values[2] > values[3]):
        raise ValueError(wanted)
    return values


AIMS.register(
    "cost",
    title="Lowest cost",
    meaning="The lowest cost, `cost=1:5` for a false positive and a false negative (Elkan 2001).",
    order=70,
)(Aim(cost, _costs, "cost=1:5", priced=True, doubtful=True))
