"""Which stages of a pretrained network learn, and from when on; the head always does."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from linnaea.learning.amounts import look_up
from linnaea.learning.hooks import Hook, State
from linnaea.learning.optimizers.groups import layers_of
from linnaea.registry import Registry

Opened = Callable[[int, int, int, float | None], int]

UNFREEZING: Registry[Opened] = Registry(
    "unfreezing",
    "linnaea.learning.unfreezing",
    title="Unfreezing",
    use="Chosen with `linnaea train --unfreeze`: how many stages, counted from the head, are trained.",
)
"""A member maps epochs done, epochs in all, stages there are and the number after its name to stages that learn."""


@UNFREEZING.register("all", title="All", meaning="Every stage, from the first step.", order=1)
def every(done: int, epochs: int, stages: int, amount: float | None) -> int:
    """All of them."""
    return stages


@UNFREEZING.register(
    "last",
    title="The last",
    meaning="So many stages before the head; the others stay as they are.",
    order=2,
    amount=("the number of stages", 1, 1, 1000),
)
def last(done: int, epochs: int, stages: int, amount: float | None) -> int:
    """The same ones all the time."""
    assert amount is not None, "it takes a number"
    return min(stages, round(amount))


@UNFREEZING.register(
    "gradual",
    title="Gradual",
    meaning="The last stage first, then one more after another; all of them from half of the epochs on.",
    order=3,
)
def gradual(done: int, epochs: int, stages: int, amount: float | None) -> int:
    """Howard and Ruder 2018, "Universal language model fine-tuning"."""
    share = min(1.0, done / max(1, epochs // 2))
    return 1 + int(share * (stages - 1))


@dataclass
class Unfreezing(Hook):
    """Lets the stages of `model` learn that `name` opens in each of `epochs`; comes after what brings a training back.

    Weights of the other stages get no gradients and do not decay.
    """

    model: nn.Module
    name: str
    epochs: int

    def __post_init__(self) -> None:
        self.opened, self.amount = look_up(UNFREEZING, self.name)
        self.layers = layers_of(self.model, coarse=True)
        self.learning = [name for name, parameter in self.model.named_parameters() if parameter.requires_grad]

    def begin(self, state: State) -> None:
        """Open the stages of the next epoch."""
        self._open(state)

    def after_epoch(self, state: State) -> None:
        """Open those of the next."""
        self._open(state)

    def end(self, state: State) -> None:
        """Leave nothing closed."""
        for name in self.learning:
            self.model.get_parameter(name).requires_grad_(True)

    def _open(self, state: State) -> None:
        stages = max(self.layers.values()) + 1
        first = stages - self.opened(len(state.history), self.epochs, stages, self.amount)
        for name in self.learning:
            self.model.get_parameter(name).requires_grad_(self.layers.get(name, stages) >= first)
