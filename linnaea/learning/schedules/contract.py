"""The contract of a schedule."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from linnaea.registry import Registry


@dataclass(frozen=True)
class Moment:
    """Where a training is: the share `left` of what follows the warm-up, from 1 at its start to 0 at the end.

    `losses` are those on val after each epoch so far; `amount` is the number after the name, None where there is none.
    """

    left: float
    losses: Sequence[float] = ()
    amount: float | None = None

    @property
    def done(self) -> float:
        """The share of what follows the warm-up that is over, 0 to 1."""
        return 1 - self.left


Shape = Callable[[Moment], float]

SCHEDULES: Registry[Shape] = Registry(
    "schedule",
    "linnaea.learning.schedules",
    title="Schedules",
    use="Chosen with `linnaea train --schedule`: the learning rate as a share of the highest.",
)
"""A member maps a moment to the share of the highest rate, 0 to 1; it is asked at the middle of each step.

Capabilities: `warm_up`, the usual share of the training over which the rate rises, and `amount` where it takes a
number.
"""


def usual_warm_up(name: str) -> float:
    """The share of the training over which the rate rises unless told otherwise."""
    usual = SCHEDULES.about(name.partition(":")[0]).capabilities["warm_up"]
    assert isinstance(usual, float), "a share is a number"
    return usual
