"""The contract of an objective."""

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor, nn

from linnaea.registry import Registry


class Objective(Protocol):
    """What a training makes small.

    It owns all that lies between a batch and the loss: pixels, mixing, label smoothing, balance, a teacher, an
    adversary. What is random in it is drawn from torch's global generator, which the loop seeds for each epoch. One
    that changes images has a method `seen`, from those of a batch and their targets to what the network is shown.
    """

    def __call__(self, model: nn.Module, batch: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The loss, a scalar to go backward from, and further figures by name, of which the epoch's mean is told.

        `model` is in training mode and answers in the number format of the training; `batch` is on its device, as the
        source of batches made it.
        """


OBJECTIVES: Registry[type[Objective]] = Registry(
    "objective", "linnaea.learning.objectives", title="Objectives", use="What the training loop makes small."
)
