"""The contract of a fairness method."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from linnaea.registry import Registry

WAYS = {
    "weights": "weighs each image by its group and its class",
    "loss": "weighs each group by its loss",
    "thresholds": "sets a threshold for each group",
}


@dataclass(frozen=True)
class Fair:
    """What it acts on, a key of `WAYS`, the function, and a sentence on what should be known of the answers.

    The function maps, by what it acts on (N images in groups 0 to G - 1, K classes; an `amount` comes last):

    - weights: groups (N,) and targets (N,) to a weight per image (N,), whose mean is 1
    - loss: the weights of the groups (G,), which sum to 1, and their losses (G,) to the next weights (G,)
    - thresholds: probabilities (N,) of the positive class, whether it is true (N,) and groups (N,) to a threshold per
      group (G,), NaN where the common one decides
    """

    acts_on: str
    act: Callable[..., Any]
    note: str


FAIRNESS: Registry[Fair] = Registry(
    "fairness method",
    "linnaea.learning.fairness",
    title="Fairness in training",
    use="Chosen with `linnaea train --fair`, for the groups that `--fair-by` names.",
)
