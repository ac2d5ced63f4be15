"""A fairness method at work in one training: how images count by their groups."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from linnaea.arrays import Float32, Float64, Integers
from linnaea.errors import UsageError
from linnaea.learning.amounts import look_up
from linnaea.learning.balance import Balance
from linnaea.learning.examples import Examples
from linnaea.learning.fairness.contract import FAIRNESS, WAYS, Fair
from linnaea.learning.heads import fit_path
from linnaea.learning.hooks import Hook, State
from linnaea.learning.losses.criterion import Criterion
from linnaea.learning.losses.cross_entropy import cross_entropy
from linnaea.learning.processes.sharing import whole_batch
from linnaea.learning.targets import as_weights, smoothed

FEW = 10  # images of a group and a class, of which one that is labelled wrongly weighs much
ROUNDS, STRENGTH, HEAD_STEP, HEAD_IMAGES = 15, 0.01, 2.0, 2_000


@dataclass
class Adversary:
    """The weights of the groups (G,), which follow their losses."""

    weights: Float64


@dataclass(frozen=True)
class GroupBalance(Balance):
    """How images in `groups` (n,) count in a training of targets (n,) by a fairness method."""

    groups: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    method: Fair | None = None
    images: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    adversary: Adversary = field(default_factory=lambda: Adversary(np.ones(1)))

    @classmethod
    def over(cls, name: str, train: Examples, classes: int) -> "GroupBalance":
        """The method of this name on these training images; raises UsageError where their groups are not known."""
        method, amount = look_up(FAIRNESS, name)
        if train.groups is None or train.targets.ndim > 1:
            raise UsageError(
                f"fair is {name!r}, which needs one label and one group per image: name the column of the groups with "
                "--fair-by."
            )
        count = int(train.groups.max()) + 1
        images = np.bincount(train.groups, minlength=count).astype(np.int64)
        counts = np.bincount(train.targets, minlength=classes)
        adversary = Adversary(np.full(count, 1 / count))
        return cls(counts, name, None, amount, train.groups, method, images, adversary)

    @property
    def notes(self) -> list[str]:
        """What should be known of a model that was trained so."""
        assert self.method is not None, "it has one"
        told = [f"Trained with --fair {self.name}, which {WAYS[self.method.acts_on]}. {self.method.note}"]
        few = int((self.images < FEW).sum())
        if few:
            told.append(f"{few} of {len(self.images)} groups have fewer than {FEW} training images: each weighs much.")
        return told

    def rows(self, targets: Integers, seed: int) -> Integers:
        """The rows of one epoch, drawn by their weights where the method weighs images."""
        if self._way != "weights":
            return np.arange(len(targets))
        return drawn_by(self._weights_of(targets, self.groups), seed)

    def shown(self, examples: Examples) -> Examples:
        """The training images as batches are made of them: targets also say the group, where the loss asks for it."""
        if self._way != "loss":
            return examples
        return replace(examples, targets=examples.targets + len(self.counts) * self.groups)

    def plain(self, targets: Tensor) -> Tensor:
        """The classes that the targets of a batch stand for."""
        return targets % len(self.counts) if self._way == "loss" else targets

    def loss(self, criterion: Criterion, logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The mean loss of logits (N, K) or, where the method weighs groups by their loss, that weighted mean."""
        if self._way != "loss":
            return criterion.mean(logits, targets, label_smoothing)
        classes, groups = self.plain(targets), targets // len(self.counts)
        wanted = smoothed(as_weights(classes, logits.shape[1]), label_smoothing) if label_smoothing else classes
        losses = criterion.losses(logits.float(), wanted)
        together = whole_batch(groups)
        means, there = _means(whole_batch(losses.detach()), together, len(self.images))
        self.adversary.weights = self._act(self.adversary.weights, means, self.amount)
        weights = torch.from_numpy(self.adversary.weights).to(losses)
        images = torch.bincount(together, minlength=len(self.images)).clamp(min=1)
        shares = weights / weights[torch.from_numpy(there).to(weights.device)].sum().clamp(min=1e-6)
        # Of several processes each counts by its share of the batch, and a group may be with one of them alone.
        return (losses * (shares / images)[groups]).sum() * (len(together) / max(len(groups), 1))

    def for_head(
        self, features: Float32, targets: Integers, seed: int, groups: Integers | None = None
    ) -> tuple[Float32, Integers, Float32 | None]:
        """The features and targets a head is fitted on, and how much each counts."""
        assert groups is not None, "training images have groups"
        if self._way == "thresholds":
            return features, targets, None
        if self._way == "weights":
            return features, targets, self._weights_of(targets, groups).astype(np.float32)
        weights = self._saddle(features, targets, groups, seed)
        images = np.maximum(np.bincount(groups, minlength=len(weights)), 1)
        return features, targets, (weights * len(targets) / images).astype(np.float32)[groups]

    def on_val(self, targets: Integers, groups: Integers | None = None) -> Float32 | None:
        """How much each of these images counts in a choice: as in training or, by group DRO, each group alike."""
        if groups is None or self._way == "thresholds":
            return None
        if self._way == "weights":
            return self._weights_of(targets, groups).astype(np.float32)
        images = np.bincount(groups)
        return np.asarray(len(targets) / ((images > 0).sum() * images[groups]), dtype=np.float32)

    @property
    def hooks(self) -> list[Hook]:
        """What a checkpoint must keep."""
        return [Remembered(self.adversary)] if self._way == "loss" else []

    @property
    def _way(self) -> str:
        assert self.method is not None, "it has one"
        return self.method.acts_on

    def _act(self, *arguments: Any) -> Any:
        assert self.method is not None, "it has one"
        return self.method.act(*arguments)

    def _weights_of(self, targets: Integers, groups: Integers) -> Float64:
        weights: Float64 = self._act(groups, targets)
        return weights

    def _saddle(self, features: Float32, targets: Integers, groups: Integers, seed: int) -> Float64:
        """The weights of groups where a head can no longer be better in the worst one, by turns with such heads."""
        rows = np.sort(np.random.default_rng(seed).permutation(len(targets))[:HEAD_IMAGES])
        features, targets, groups = features[rows], targets[rows], groups[rows]
        count = len(self.images)
        images = np.maximum(np.bincount(groups, minlength=count), 1)
        weights = np.full(count, 1 / count)
        seen = np.zeros(count)
        for _ in range(ROUNDS):
            counted = (weights * len(targets) / images).astype(np.float32)[groups]
            (head,) = fit_path(features, targets, len(self.counts), strengths=(STRENGTH,), weights=counted)
            losses = cross_entropy(torch.from_numpy(head.logits(features)), torch.from_numpy(targets))
            means, _ = _means(losses, torch.from_numpy(groups), count)
            seen += weights / ROUNDS
            weights = self._act(weights, means, HEAD_STEP)
        return seen


def drawn_by(weights: Float64, seed: int) -> Integers:
    """Rows drawn as often as their weights (n,) say, n in all: each its whole part, and the rest at even distances."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(weights))
    order = order[np.argsort(weights[order], kind="stable")]  # so that those of equal weight get their whole share
    ends = np.cumsum(weights[order]) * len(weights) / weights.sum()
    marks = np.arange(len(weights)) + random.random()
    return np.asarray(order[np.minimum(np.searchsorted(ends, marks), len(weights) - 1)], dtype=np.int64)


def _means(losses: Tensor, groups: Tensor, count: int) -> tuple[Float64, Any]:
    """The mean loss of each group (G,), 0 of one without images, and which have any (G,)."""
    images = torch.bincount(groups, minlength=count)
    sums = torch.zeros(count, dtype=losses.dtype, device=losses.device).index_add(0, groups, losses)
    return (sums / images.clamp(min=1)).double().cpu().numpy(), (images > 0).cpu().numpy()


@dataclass
class Remembered(Hook):
    """Keeps the weights of groups in checkpoints, and begins a training with equal ones."""

    adversary: Adversary

    def begin(self, state: State) -> None:
        """All groups alike; a training that is gone on with brings its own."""
        count = len(self.adversary.weights)
        self.adversary.weights = np.full(count, 1 / count)

    def figures(self, state: State) -> Mapping[str, float]:
        """The highest weight of a group, for the row of the epoch."""
        return {"group_weight": float(self.adversary.weights.max())}

    def tensors(self) -> dict[str, Tensor]:
        """The weights."""
        return {"group_weights": torch.from_numpy(self.adversary.weights.copy())}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take them back."""
        self.adversary.weights = tensors["group_weights"].numpy().astype(np.float64)
