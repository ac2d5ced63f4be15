"""The loss that scores have at their best temperature: what they know, whatever confidence they say it with."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

LOGARITHMS = (-6.0, 6.0)  # of the factors tried: from scores that mean nothing to those of a regression on -1 and 1
TOLERANCE = 0.02
Losses = Callable[[Tensor, Tensor], Tensor]


def calibrated_loss(
    losses: Losses, logits: npt.NDArray[Any], targets: npt.NDArray[Any], weights: npt.NDArray[Any] | None = None
) -> float:
    """The lowest mean of `losses` over logits (N, K) times any factor: temperature scaling (Guo et al. 2017).

    `losses` maps logits (N, K) and targets, (N,) or (N, K), to losses (N,); images count by `weights` (N,) (None: 1).
    A network that is over-confident, and will be calibrated anyway, is not taken for one that knows less.
    """
    scores, truth = torch.from_numpy(np.asarray(logits, dtype=np.float32)), torch.from_numpy(targets)
    counted = torch.ones(len(scores)) if weights is None else torch.from_numpy(weights.astype(np.float32))

    def loss(logarithm: float) -> float:
        return float(counted @ losses(scores * float(np.exp(logarithm)), truth)) / float(counted.sum())

    found = minimize_scalar(loss, bounds=LOGARITHMS, method="bounded", options={"xatol": TOLERANCE})
    return min(float(found.fun), loss(0.0))
