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


def best_factor(
    losses: Losses,
    logits: npt.NDArray[Any] | Tensor,
    targets: npt.NDArray[Any] | Tensor,
    *,
    weights: npt.NDArray[Any] | None = None,
    logarithms: tuple[float, float] = LOGARITHMS,
    tolerance: float = TOLERANCE,
) -> tuple[float, float]:
    """The factor on logits (N, K) with the lowest mean of `losses`, and that: temperature scaling (Guo et al. 2017).

    `losses` maps logits (N, K) and targets, (N,) or (N, K), to losses (N,); images count by `weights` (N,) (None: 1).
    The factor's logarithm lies between `logarithms`, to a `tolerance`; 1 where nothing is lower. A network that is
    over-confident, and will be calibrated anyway, is not taken for one that knows less.
    """
    scores, truth = torch.as_tensor(logits).float(), torch.as_tensor(targets)
    counted = torch.ones(len(scores)) if weights is None else torch.from_numpy(weights.astype(np.float32))

    def loss(logarithm: float) -> float:
        return float(counted @ losses(scores * float(np.exp(logarithm)), truth)) / float(counted.sum())

    found = minimize_scalar(loss, bounds=logarithms, method="bounded", options={"xatol": tolerance})
    as_it_is, best = loss(0.0), float(found.fun)
    return (float(np.exp(found.x)), best) if best < as_it_is else (1.0, as_it_is)
