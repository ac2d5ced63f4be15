"""What a familiarity score is fitted to: images of training as a model sees them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from linnaea.arrays import Floats, Targets
from linnaea.models.model import Model

RANK = 64
ROUNDING = 3e-7  # of a feature: how far another runtime may be off
AT_ONCE = 1024  # images whose logits are computed together


@dataclass(frozen=True, eq=False)
class Known:
    """Images of training as a model sees them: `features` (N, D), `logits` (N, K) and `targets`.

    Targets are class indices (N,) or, of several labels, 0, 1 and NaN (N, K). `weight` (K, D) and `bias` (K,) are those
    of the model's head, or (0, D) and (0,) where it is not linear, and `answer` then gives its logits. `fresh` are
    features (M, D) and logits (M, K) of known images that nothing was trained on, or those of training where there are
    none. `model` is what made them, where it is there.
    """

    features: Floats
    logits: Floats
    targets: Targets
    weight: Floats
    bias: Floats
    fresh: tuple[Floats, Floats]
    answer: Callable[[Floats], Floats] | None = None
    model: Model | None = None

    @classmethod
    def of(cls, model: Model, features: Floats, targets: Targets, fresh: Floats | None = None) -> "Known":
        """What a model makes of features (N, D), and of `fresh` ones (M, D)."""
        answer: Callable[[Floats], Floats]
        if model.linear:
            weight, bias = linear_head(model, features.shape[1])
            answer = partial(_linear, weight, bias)
        else:
            weight, bias = np.zeros((0, features.shape[1])), np.zeros(0)
            answer = partial(_by_head, model)
        others = features if fresh is None or not len(fresh) else fresh
        return cls(features, answer(features), targets, weight, bias, (others, answer(others)), answer, model)

    @property
    def linear(self) -> bool:
        """Whether the logits are linear in the features."""
        return len(self.weight) > 0

    def logits_of(self, features: Floats) -> Floats:
        """The logits (M, K) that the head gives for features (M, D)."""
        return _linear(self.weight, self.bias, features) if self.answer is None else self.answer(features)

    @property
    def several(self) -> bool:
        """Whether an image may carry several labels."""
        return self.targets.ndim == 2

    @cached_property
    def unit(self) -> Floats:
        """The features at unit length (N, D)."""
        unit: Floats = self.features / np.maximum(np.linalg.norm(self.features, axis=1, keepdims=True), 1e-12)
        return unit

    @cached_property
    def centre(self) -> Floats:
        """The mean of the classes' means (D,): where nothing speaks for any of them, however many images each has."""
        return np.asarray(self.means.mean(axis=0))

    @cached_property
    def groups(self) -> Targets:
        """A number from 0 for each image's class (N,), classes without images left out; 0 for several labels."""
        if self.several:
            return np.zeros(len(self.targets), dtype=np.int64)
        return np.unique(self.targets, return_inverse=True)[1]

    @cached_property
    def means(self) -> Floats:
        """The mean of each of those classes at unit length (C, D)."""
        return np.stack([self.unit[self.groups == number].mean(axis=0) for number in range(self.groups.max() + 1)])

    @cached_property
    def within(self) -> tuple[Floats, Floats]:
        """Variances (R,) within classes, the largest first, and the directions (R, D) they have, at unit length."""
        squares, directions = principal(self.unit - self.means[self.groups])
        return squares / max(1, len(self.unit) - len(self.means)), directions

    def tensors(self, *, rounded: bool = False) -> tuple[Tensor, Tensor]:
        """The fresh features and logits as tensors; `rounded` as another runtime may give them."""
        features = np.asarray(self.fresh[0], dtype=np.float32)
        if rounded:
            noise = np.random.default_rng(0).normal(size=features.shape).astype(np.float32)
            features = features * (1 + ROUNDING * noise)
        logits = self.logits_of(features) if rounded else self.fresh[1]
        first, second = (torch.from_numpy(np.asarray(values, dtype=np.float32)) for values in (features, logits))
        return first, second


def _linear(weight: Floats, bias: Floats, features: Floats) -> Floats:
    logits: Floats = features @ weight.T + bias
    return logits


@torch.no_grad()
def _by_head(model: Model, features: Floats) -> Floats:
    parts = torch.split(torch.from_numpy(np.asarray(features, dtype=np.float32)), AT_ONCE)
    logits: Floats = torch.cat([model.head(part) for part in parts]).numpy()
    return logits


@torch.no_grad()
def linear_head(model: Model, length: int) -> tuple[Floats, Floats]:
    """The weight (K, D) and bias (K,) by which a model's head acts on features of this length."""
    bias = model.head(torch.zeros(1, length, device=model.device))
    weight = model.head(torch.eye(length, device=model.device)) - bias
    return weight.T.cpu().numpy(), bias[0].cpu().numpy()


def principal(rows: Floats) -> tuple[Floats, Floats]:
    """The squared singular values (R,) of rows (N, D), the largest first, and their directions (R, D), R <= N, D.

    By the eigenvalues of the smaller matrix of products; directions without variation are left out but for the first.
    """
    wide = rows.shape[1] > len(rows)
    exact = rows.astype(np.float64)
    values, vectors = np.linalg.eigh(exact @ exact.T if wide else exact.T @ exact)
    count = max(1, int((values > 1e-10 * values[-1]).sum()))
    values, vectors = values[: -count - 1 : -1].clip(min=0), vectors[:, : -count - 1 : -1]
    directions = (exact.T @ vectors / np.sqrt(values).clip(min=1e-150)).T if wide else vectors.T
    return values, directions


def rank_for(features: Floats) -> int:
    """How many principal directions (N, D) features are worth: at most 64, and half of what they could span."""
    count, length = features.shape
    return int(max(1, min(RANK, (count - 1) // 2, length // 2)))
