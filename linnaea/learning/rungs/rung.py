"""The contract of a rung."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.errors import UsageError
from linnaea.learning.balance import Balance
from linnaea.learning.training import Examples
from linnaea.learning.trials import Trial
from linnaea.models.embedding import embed
from linnaea.models.model import Model
from linnaea.models.network import require_network
from linnaea.models.weights import Weights, find_weights
from linnaea.registry import Registry
from linnaea.runtime.plan import SECONDS, Plan
from linnaea.task import Task

TIMED = 16  # images by which the time for what comes after training is told
EMBEDDING_SHARE = 0.7  # of the time left
FINISHING_SHARE = 0.2  # of the time left: what is fitted afterwards can do with fewer images
MARGIN = 1.3  # for a machine that is busier then


@dataclass(frozen=True)
class Features:
    """Features (N, D) of the training and the validation images, made by `plan`, and the training images' classes.

    Of these images an earlier run had kept the features of `known`.
    """

    train: npt.NDArray[np.float32]
    targets: npt.NDArray[np.int64]
    val: npt.NDArray[np.float32]
    plan: Plan
    known: int = 0


@dataclass(frozen=True)
class Options:
    """What the user may say about training; None means that the rung knows best."""

    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    augmentations: tuple[str, ...] | None = None
    balance: str | None = None
    loss: str | None = None
    device: str = "cpu"
    precision: str = "auto"
    memory_format: str = "auto"
    seed: int = 0


@dataclass(frozen=True)
class Job:
    """What a rung is given: decoded examples, the task, options, weights, and a deadline of `time.monotonic`.

    `names` are those of the classes, where they are known, `afterwards` the number of images that whoever judges and
    keeps the model will embed with it before the command ends. For as long as the ladder is climbed, `features`
    remembers what frozen backbones made of the images, and `trials` what was seen of augmentations.
    """

    train: Examples
    val: Examples
    classes: int
    task: Task
    options: Options
    weights: Weights | None = None
    network: str | None = None
    deadline: float = math.inf
    afterwards: int = 0
    checkpoints: Path | None = None
    on_epoch: Callable[[dict[str, Any]], None] = lambda row: None
    names: tuple[str, ...] = ()
    features: dict[str, Features] = field(default_factory=dict)
    trials: dict[str, Trial] = field(default_factory=dict)

    @property
    def balance(self) -> Balance:
        """What is done about the imbalance of the training images."""
        return Balance.of(self.options.balance, self.train.targets, self.classes)

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return int(self.train.images.shape[1])

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    @property
    def measuring_seconds(self) -> float:
        """Seconds that measuring an execution plan may take: a twentieth of those left, where these are few."""
        return max(0.0, min(SECONDS, self.seconds_left / 20))

    @property
    def deadline_to_embed(self) -> float:
        """When embedding must end so that a head can still be fitted on the features."""
        return self.deadline if self.deadline == math.inf else time.monotonic() + EMBEDDING_SHARE * self.seconds_left

    def deadline_to_train(self, model: Model) -> float:
        """When training this model must end: a fifth of the time at the most is left for what comes afterwards."""
        if self.deadline == math.inf:
            return math.inf
        some = self.val.images[:TIMED]
        embed(model, some)  # what is done once is not counted
        started = time.monotonic()
        embed(model, some)
        seconds = (time.monotonic() - started) / len(some)
        return self.deadline - min(MARGIN * seconds * self.afterwards, FINISHING_SHARE * self.seconds_left)

    def subset(self, most: int) -> Examples:
        """At most this many training examples, drawn at random by the seed."""
        return self.train.subset(most, self.options.seed)


@dataclass(frozen=True)
class Fitted:
    """A fitted model, how it got there, and what is worth writing down about it.

    `features` are the model's own features (N, D) of all training images, `val_features` those of the val images in
    float32, where the rung has them anyway. `warnings` are notes that the user must not miss, and `known` is the number
    of images whose features an earlier run had kept: that they cost nothing this time says nothing of the rung.
    """

    model: Model
    history: Sequence[dict[str, Any]] = ()
    notes: Sequence[str] = ()
    plan: dict[str, Any] = field(default_factory=dict)
    features: npt.NDArray[np.float32] | None = None
    val_features: npt.NDArray[np.float32] | None = None
    warnings: Sequence[str] = ()
    known: int = 0


@dataclass(frozen=True)
class Rung:
    """A registered rung: `fit`, and whether it builds on pretrained weights (None: it has no use for them).

    A `baseline` is there to be beaten. `balances` names what balancers can act on here, keys of
    `linnaea.learning.balance.ACTS`; `usual` the augmentations it trains with unless told otherwise.

    In the automatic ladder stand the rungs without use for weights, then those that need them or, where there are
    none, those that do without.
    """

    fit: Callable[[Job], Fitted]
    pretrained: bool | None
    baseline: bool = False
    balances: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step of a ladder: a rung under the name it has in the run, with the network and weights it uses."""

    name: str
    rung: Rung
    network: str | None = None
    weights: Weights | None = None


RUNGS: Registry[Rung] = Registry("rung")


def steps_for(model: str, weights: str | Path = "auto") -> tuple[list[Step], list[str]]:
    """The steps that `--model` and `--weights` ask for, in their order, and notes on the weights found.

    `model` is "auto" (every rung that can be had) or names joined by commas, each a rung or a timm network; a network
    is fine-tuned when its weights are there and trained from scratch when not. Raises UsageError for an unknown name,
    and for a rung whose weights cannot be had.
    """
    if model == "auto":
        found, note = find_weights(weights, None)
        fitting = [(name, rung) for name, rung in RUNGS.items() if rung.pretrained in (None, found is not None)]
        return [Step(name, rung, weights=found if rung.pretrained else None) for name, rung in fitting], [note]
    names = [part.strip() for part in model.split(",")]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"the model {twice!r} is given twice: name each model once.")
    made = [_step(name, weights) for name in names]
    if str(weights) not in ("auto", "none") and not any(step.weights for step, _ in made):
        raise UsageError(
            f"{model} does not use pretrained weights, and --weights is {weights}: leave it out or add frozen."
        )
    return [step for step, _ in made], [note for _, note in made if note]


def _step(name: str, given: str | Path) -> tuple[Step, str]:
    if name in RUNGS:
        if not RUNGS[name].pretrained:
            return Step(name, RUNGS[name]), ""
        found, note = find_weights(given, None)
        if found is None:
            raise UsageError(f"the rung {name!r} needs pretrained weights. {note} Give a file with --weights.")
        return Step(name, RUNGS[name], weights=found), note
    require_network(name, also=["auto", *RUNGS])
    found, note = find_weights(given, name)
    return Step(name, RUNGS["finetune" if found else "scratch"], name, found), note
