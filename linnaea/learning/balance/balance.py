"""A balancer at work in one training."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from linnaea.arrays import Float32, Images, Integers
from linnaea.errors import UsageError
from linnaea.learning.amounts import look_up
from linnaea.learning.balance.contract import ACTS, BALANCERS, Balancer
from linnaea.learning.examples import Examples
from linnaea.learning.hooks import Hook
from linnaea.learning.losses.criterion import Criterion
from linnaea.learning.targets import as_weights, smoothed

ON_VAL = "Because of --balance, every class has the same weight on val when a strength or an epoch is chosen."


@dataclass(frozen=True)
class Balance:
    """What is done about the imbalance of a training set with `counts` (K,) images per class; nothing by default."""

    counts: npt.NDArray[np.int64]
    name: str = "none"
    balancer: Balancer | None = None
    amount: float | None = None

    @classmethod
    def of(cls, name: str | None, targets: npt.NDArray[Any], classes: int) -> "Balance":
        """The balancer of this name (None: none) on these training targets (N,); raises UsageError for unknown ones."""
        if name is None:
            return cls(np.ones(classes, dtype=np.int64))
        balancer, amount = look_up(BALANCERS, name)
        if targets.ndim > 1:
            raise UsageError(
                f"balance is {name!r}, but the images have several labels: balance needs one label per image."
            )
        return cls(np.bincount(targets, minlength=classes), name, balancer, amount)

    @property
    def notes(self) -> list[str]:
        """What should be known of a model that was trained so."""
        if self.balancer is None:
            return []
        return [f"Balanced by {self.name}, which {ACTS[self.balancer.acts_on]}.", self.balancer.note, ON_VAL]

    def rows(self, targets: Integers, seed: int) -> Integers:
        """The rows of one epoch, in no particular order."""
        if not self._acts_on("draws"):
            return np.arange(len(targets))
        rows: Integers = self._act(targets, np.random.default_rng(seed))
        return rows

    def loss(self, criterion: Criterion, logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The mean loss of logits (N, K) against class indices (N,) or class weights (N, K)."""
        if not self._acts_on("weights", "loss"):
            return criterion.mean(logits, targets, label_smoothing)
        wanted = as_weights(targets, logits.shape[1])
        losses = self.head_loss(criterion.losses)(logits.float(), smoothed(wanted, label_smoothing))
        return (losses * (wanted @ self._weights.to(logits.device))).mean()

    def shown(self, examples: Examples) -> Examples:
        """The training images as batches are made of them."""
        return examples

    def plain(self, targets: Tensor) -> Tensor:
        """The classes that the targets of a batch stand for."""
        return targets

    @property
    def hooks(self) -> list[Hook]:
        """What a training must do for it, and a checkpoint must keep."""
        return []

    def for_head(
        self, features: Float32, targets: Integers, seed: int, groups: Integers | None = None
    ) -> tuple[Float32, Integers, Float32 | None]:
        """The features and targets a head is fitted on, and how much each counts (None: all the same)."""
        if self._acts_on("features"):
            more: tuple[Float32, Integers] = self._act(features, targets, seed)
            return *more, None
        if self._acts_on("draws"):
            return features, targets, np.bincount(self.rows(targets, seed), minlength=len(targets)).astype(np.float32)
        return features, targets, self._weights.numpy()[targets] if self._acts_on("weights") else None

    def head_loss(self, usual: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        """The loss per image of a head, from scores (N, K) and class indices (N,): the usual one, or the balancer's."""
        if not self._acts_on("loss"):
            return usual
        return lambda scores, targets: self._losses(scores, as_weights(targets, scores.shape[1]))

    def on_val(self, targets: Integers, groups: Integers | None = None) -> Float32 | None:
        """How much each of these val images counts in a choice: equal sums per class; None where all count the same."""
        if self.balancer is None:
            return None
        counts = np.bincount(targets, minlength=len(self.counts))
        weights: Float32 = (len(targets) / ((counts > 0).sum() * counts[targets])).astype(np.float32)
        return weights

    def pictures(self, images: Images, targets: Integers, seed: int) -> tuple[Images, Integers]:
        """Further training images (M, S, S, 3), and their targets (M,); none unless the balancer makes some."""
        if not self._acts_on("pictures"):
            return images[:0], targets[:0]
        made: tuple[Images, Integers] = self._act(images, targets, seed)
        return made

    def _acts_on(self, *what: str) -> bool:
        return self.balancer is not None and self.balancer.acts_on in what

    def _act(self, *arguments: Any) -> Any:
        assert self.balancer is not None
        return self.balancer(*arguments, amount=self.amount)

    @cached_property
    def _weights(self) -> Tensor:
        """A weight per class (K,); 1 unless the balancer weighs classes."""
        weights = self._act(self.counts) if self._acts_on("weights") else np.ones(len(self.counts))
        return torch.from_numpy(weights.astype(np.float32))

    def _losses(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """The balancer's loss of each image (N,)."""
        shares = torch.from_numpy(self.counts / self.counts.sum()).to(logits.device, logits.dtype)
        losses: Tensor = self._act(logits, wanted, shares)
        return losses
