"""What a rung is given and what it gives back."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from linnaea.learning.balance import Balance
from linnaea.learning.batches.crops import Photos
from linnaea.learning.examples import Examples
from linnaea.learning.fairness.balance import GroupBalance
from linnaea.learning.heads import LinearHead
from linnaea.learning.losses import Criterion, criterion_for
from linnaea.learning.objectives.teacher import Teacher
from linnaea.learning.recipe import TrainingRecipe
from linnaea.learning.trials import Trial
from linnaea.models.embedding import embed
from linnaea.models.model import Model
from linnaea.models.weights import Weights
from linnaea.runtime.plan import SECONDS, Plan
from linnaea.task import Task
from linnaea.taxonomy import Taxonomy

if TYPE_CHECKING:
    from linnaea.learning.hooks import Hook

TIMED = 16  # images by which the time for what comes after training is told
EMBEDDING_SHARE = 0.7  # of the time left
FINISHING_SHARE = 0.2  # of the time left: what is fitted afterwards can do with fewer images
MARGIN = 1.3  # for a machine that is busier then


@dataclass(frozen=True)
class Features:
    """Features (N, D) of the training and the validation images, made by `plan`, and the training images' classes.

    `groups` (N,) are those that a training is to be fair to.

    Of these images an earlier run had kept the features of `known`. `model`, without a head, made them, where it had to
    learn something first.
    """

    train: npt.NDArray[np.float32]
    targets: npt.NDArray[np.int64]
    val: npt.NDArray[np.float32]
    plan: Plan
    known: int = 0
    model: Model | None = None
    groups: npt.NDArray[np.int64] | None = None

    def subset(self, most: int, seed: int) -> "Features":
        """The same of at most so many training images, drawn at random by the seed, in their order."""
        if len(self.train) <= most:
            return self
        rows = np.sort(np.random.default_rng(seed).permutation(len(self.train))[:most])
        groups = None if self.groups is None else self.groups[rows]
        return replace(self, train=self.train[rows], targets=self.targets[rows], groups=groups)


@dataclass(frozen=True)
class Options:
    """What the user may say about training; None means that the rung knows best.

    `batch_size` "auto" is the largest that makes training faster; `checkpoint_every` is in seconds.
    """

    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int | str | None = None
    augmentations: tuple[str, ...] | None = None
    balance: str | None = None
    fair: str | None = None
    loss: str | None = None
    recipe: TrainingRecipe = field(default_factory=TrainingRecipe)
    device: str = "cpu"
    precision: str = "auto"
    memory_format: str = "auto"
    seed: int = 0
    checkpoint_every: float = 60.0


def untold(row: dict[str, Any]) -> None:
    """Nobody wants to know of an epoch."""


@dataclass(frozen=True)
class Job:
    """What a rung is given: decoded examples, the task, options, weights, and a deadline of `time.monotonic`.

    `arguments` are those that were asked for of the `network`. `names` are those of the classes and `ids` those of the
    training images, where they are known, `photos` the files of these, `tree` is the taxonomy the classes lie in, where
    there is one, `afterwards`
    the number of images that whoever judges and keeps the model will embed with it before the command ends. `hooks`
    watch the training of a network, and their tensors are kept with its checkpoints. For as long
    as the ladder is climbed, `features` remembers what was made of the images, `heads` the best ones on
    these, with remarks, and `trials` what was seen of augmentations.
    """

    train: Examples
    val: Examples
    classes: int
    task: Task
    options: Options
    weights: Weights | None = None
    network: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    deadline: float = math.inf
    afterwards: int = 0
    checkpoints: Path | None = None
    on_epoch: Callable[[dict[str, Any]], None] = untold
    on_kept: Callable[[dict[str, Any]], None] | None = None
    on_fed: Callable[[Tensor, Tensor], None] | None = None
    hooks: "Sequence[Hook]" = ()
    names: tuple[str, ...] = ()
    ids: Sequence[str] = ()
    photos: Photos | None = None
    tree: Taxonomy | None = None
    features: dict[str, Features] = field(default_factory=dict)
    heads: dict[str, tuple[LinearHead, list[str]]] = field(default_factory=dict)
    trials: dict[str, Trial] = field(default_factory=dict)

    @cached_property
    def criterion(self) -> Criterion:
        """The loss that was asked for, or the usual one of the task."""
        return criterion_for(self.task, self.options.loss, self.tree)

    @cached_property
    def teacher(self) -> Teacher | None:
        """The classifier to learn from, on the device of the training; None where none was given."""
        folder = self.options.recipe.teacher
        if folder is None:
            return None
        return Teacher.of(folder, self.names, self.task.name, self.channels).on(self.options.device)

    @cached_property
    def balance(self) -> Balance:
        """What is done about the imbalance of the training images, of their classes or of their groups."""
        if self.options.fair is not None:
            return GroupBalance.over(self.options.fair, self.train, self.classes)
        return Balance.of(self.options.balance, self.train.targets, self.classes)

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return self.train.size

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.train.channels

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

    def __reduce__(self) -> tuple[Any, ...]:
        """As other processes are given it: nothing is told there, and what is remembered for the ladder stays here."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return partial(
            Job, **given | {"on_epoch": untold, "on_fed": None, "features": {}, "heads": {}, "trials": {}}
        ), ()

    def subset(self, most: int) -> Examples:
        """At most this many training examples, drawn at random by the seed."""
        return self.train.subset(most, self.options.seed)


@dataclass(frozen=True)
class Fitted:
    """A fitted model, how it got there, and what is worth writing down about it.

    `features` are the model's own features (N, D) of all training images, `val_features` those of the val images in
    float32, where the rung has them anyway; `fixed` says that its body stays as it is, so that features are kept in the
    cache. `warnings` are notes that the user must not miss, and `known` is the number
    of images whose features an earlier run had kept: that they cost nothing this time says nothing of the rung.
    """

    model: Model
    history: Sequence[dict[str, Any]] = ()
    notes: Sequence[str] = ()
    plan: dict[str, Any] = field(default_factory=dict)
    features: npt.NDArray[np.float32] | None = None
    val_features: npt.NDArray[np.float32] | None = None
    fixed: bool = False
    warnings: Sequence[str] = ()
    known: int = 0
