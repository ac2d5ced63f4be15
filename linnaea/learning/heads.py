"""Linear classifiers on fixed features, fitted by L-BFGS along a path of regularisation strengths."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController
from torch import Tensor

from linnaea.arrays import Float32, Float64, Targets
from linnaea.learning.losses.binary_cross_entropy import binary_cross_entropy
from linnaea.learning.losses.cross_entropy import cross_entropy
from linnaea.learning.temperature import best_factor
from linnaea.runtime.machine import one_thread_each
from linnaea.runtime.progress import track

Losses = Callable[[Tensor, Tensor], Tensor]
Objective = Callable[[Float64], tuple[float, Float64]]
NUMPYS = "libscipy_openblas"  # of numpy and scipy: its threads wait for the next step by taking cores from torch
_LONE = Lock()  # the number of its threads is one for the whole process
STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
MANY_PRODUCTS = 10**8  # in one step, of which several threads make less than they lose by waiting for one another
EQUAL = 1e-3  # of a loss: heads that differ by less are the same


@dataclass(frozen=True)
class LinearHead:
    """Weights (K, D) and bias (K,) that map raw features to logits, and the strength C that made them."""

    weight: Float32
    bias: Float32
    strength: float

    def logits(self, features: Float32) -> Float32:
        """Features (N, D) to logits (N, K)."""
        scores: Float32 = features @ self.weight.T + self.bias
        return scores


def fit_path(
    features: Float32,
    targets: Targets,
    classes: int,
    *,
    loss: Losses = cross_entropy,
    strengths: Sequence[float] = STRENGTHS,
    iterations: int = 200,
    weights: Float32 | None = None,
    deadline: float = math.inf,
) -> list[LinearHead]:
    """Fit one head per strength, each starting from the one before.

    After `deadline`, a time of `time.monotonic`, no further one is begun and the one at hand stops early.

    `targets` are what the loss takes, class indices (N,) or, of several labels, (N, K).

    Minimises |W|^2 / 2 + C * loss on standardised features (N, D), as scikit-learn does with C = strength; the bias
    is not penalised. The standardisation is folded into the weights that are returned. `weights` (N,) say how much
    each image counts in the loss (None: 1).
    """
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-6, scale, 1.0).astype(np.float32)
    inputs, rows = spanned(torch.from_numpy((features - mean) / scale))
    basis = None if rows is None else rows.double().numpy()
    labels = torch.from_numpy(targets)
    counted = torch.ones(len(targets)) if weights is None else torch.from_numpy(weights)
    point = np.zeros(classes * (inputs.shape[1] + 1))
    heads: list[LinearHead] = []
    small = inputs.numel() * classes < MANY_PRODUCTS
    with (
        _LONE,
        ThreadpoolController().select(prefix=NUMPYS).limit(limits=1),
        one_thread_each() if small else nullcontext(),
    ):
        for strength in track(sorted(strengths), "fitting heads", len(strengths)):
            if heads and time.monotonic() > deadline:
                break
            objective = _objective(inputs, classes, lambda scores: counted @ loss(scores, labels), strength)
            point = _minimum(objective, point, iterations, deadline)
            matrix = point.reshape(classes, -1)
            weight = ((matrix[:, :-1] if basis is None else matrix[:, :-1] @ basis) / scale).astype(np.float32)
            heads.append(LinearHead(weight, (matrix[:, -1] - weight @ mean).astype(np.float32), strength))
    return heads


def _minimum(objective: Objective, start: Float64, iterations: int, deadline: float) -> Float64:
    """Where L-BFGS ends, after so many iterations or at the deadline."""

    def on_time(_: Any) -> None:
        if time.monotonic() > deadline:
            raise StopIteration

    settings: Any = {"method": "L-BFGS-B", "options": {"maxiter": iterations}, "callback": on_time}
    return np.asarray(minimize(objective, start, jac=True, **settings).x)


def spanned(inputs: Tensor) -> tuple[Tensor, Tensor | None]:
    """Fewer inputs (N, D) than D as (N, N) in an orthonormal basis (N, D) of what they span; others as they are.

    A penalised weight has no part outside of it, by the representer theorem (Kimeldorf and Wahba 1971).
    """
    if len(inputs) >= inputs.shape[1]:
        return inputs, None
    rows, coordinates = torch.linalg.qr(inputs.T)
    return coordinates.T.contiguous(), rows.T


def choose(
    heads: Sequence[LinearHead], features: Float32, targets: Targets, weights: Float32 | None = None
) -> LinearHead:
    """The head with the lowest cross-entropy on `features` at its best temperature; `weights` as above.

    Counts of right answers tell heads apart by a few images; the loss is told by all of them. Of heads that are as good
    to a thousandth, as where all answers are right, it is the one with the smallest strength.
    """
    loss = binary_cross_entropy if targets.ndim == 2 else cross_entropy
    losses = [best_factor(loss, head.logits(features), targets, weights=weights)[1] for head in heads]
    good = [head for head, own in zip(heads, losses, strict=True) if own <= min(losses) + EQUAL]
    return min(good, key=lambda head: head.strength)


def _objective(inputs: Tensor, classes: int, loss: Callable[[Tensor], Tensor], strength: float) -> Objective:
    """The penalised loss divided by C N, which keeps L-BFGS's own tolerances meaningful, and its gradient."""
    per_image = 1.0 / len(inputs)

    def value_and_gradient(point: Float64) -> tuple[float, Float64]:
        matrix = torch.from_numpy(point.astype(np.float32)).view(classes, -1).requires_grad_()
        scores = inputs @ matrix[:, :-1].T + matrix[:, -1]
        penalty = matrix[:, :-1].square().sum() / (2 * strength)
        value = (penalty + loss(scores)) * per_image
        (gradient,) = torch.autograd.grad(value, matrix)
        return value.item(), gradient.double().flatten().numpy()

    return value_and_gradient
