"""The contract of an objective."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from linnaea.learning.augmentations import augment
from linnaea.learning.balance import Balance
from linnaea.learning.losses import Criterion
from linnaea.learning.objectives.teacher import Teacher
from linnaea.models.model import Model
from linnaea.registry import Registry

Made = TypeVar("Made")


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


@runtime_checkable
class Accompanied(Objective, Protocol):
    """An objective that trains more than the model: `own`, a projection, centres, a second network.

    Its parameters join the optimizer, checkpoints keep it, and the classifier is without it. `epochs_done` is told.
    """

    own: nn.Module
    epochs_done: int


@dataclass(frozen=True)
class Setting:
    """What an objective is made for: the `model` with its criterion and balance, and what was asked for.

    `amount` is the number after its name. `augmentations` are those that are the objective's to apply: what mixes
    images or, where it says `views`, what changes them. `epochs` is how many there will be at the most; `pretrained`,
    whether the body comes with weights; `teacher` is there where it says `teacher`.
    """

    model: Model
    criterion: Criterion
    balance: Balance
    label_smoothing: float = 0.0
    augmentations: Sequence[str] = ()
    amount: float | None = None
    epochs: int = 1
    seed: int = 0
    pretrained: bool = False
    teacher: Teacher | None = None

    @property
    def length(self) -> int:
        """How many features the model has."""
        classifier: Any = self.model.get_submodule("classifier")
        return int(classifier.in_features)


def mixed(setting: Setting, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Images (N, 3, S, S) of uint8 and targets as the objective's augmentations mix them."""
    return augment(images, targets, setting.augmentations, torch.default_generator, len(setting.balance.counts))


def seeded(seed: int, make: Callable[[], Made]) -> Made:
    """What `make` makes with random numbers of its own; nothing else draws differently for it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


class Kind(Objective, Protocol):
    """A registered objective: a class that `made` builds for a training.

    Its capabilities: `tasks` names those it is for; `balances` what balancers may act on beside it, keys of
    `linnaea.learning.balance.ACTS`; `amount`, for one that takes a number: its meaning, usual value, least and most;
    `mixes`, whether it can use images with mixed labels; `views`, whether it changes images itself, to see several
    views of each; `teacher`, whether it learns from a classifier that is given.
    """

    @classmethod
    def made(cls, setting: Setting) -> Self:
        """One for this training."""


OBJECTIVES: Registry[type[Kind]] = Registry(
    "objective", "linnaea.learning.objectives", title="Objectives", use="Chosen with `linnaea train --objective`."
)
