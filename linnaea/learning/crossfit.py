"""Out-of-sample probabilities: what a classifier says of images it was not fitted on, for all of them."""

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional

Floats = npt.NDArray[np.float32]
Targets = npt.NDArray[np.int64]
PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)  # times the mean variance of the standardised features


def cross_fit(features: Floats, targets: Targets, folds: Targets, classes: int) -> Floats:
    """Probabilities (N, K) for every image from ridge regression fitted on the other folds, in closed form.

    `features` (N, D), `targets` (N,) class indices, `folds` (N,) the fold of each image; images of one picture or
    group belong in one fold. The penalty and the temperature are those of the lowest cross-entropy out of sample. The
    normal equations are made once and each fold's share is taken away from them (Golub et al. 1979), so that the cost
    is that of one fit, N D^2, and one factorisation of D x D per fold and penalty.
    """
    inputs = torch.from_numpy(np.asarray(features, dtype=np.float32))
    inputs = (inputs - inputs.mean(dim=0)) / inputs.std(dim=0).clamp(min=1e-6)
    wanted = torch.zeros(len(targets), classes).scatter_(1, torch.from_numpy(targets)[:, None], 1.0)
    scores = _out_of_fold(inputs, wanted, torch.ones(len(targets)), folds)
    best = min(scores, key=lambda score: _temperature(score, targets)[1])
    return _probabilities(best, targets)


def _out_of_fold(inputs: Tensor, wanted: Tensor, weight: Tensor, folds: Targets) -> list[Tensor]:
    """Scores (N, K) per penalty."""
    extended = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1)
    weighted = extended * weight.unsqueeze(1)
    gram, moment = weighted.T @ extended, weighted.T @ wanted
    scores = [torch.empty_like(wanted) for _ in PENALTIES]
    for fold in np.unique(folds):
        rows = torch.from_numpy(np.flatnonzero(folds == fold))
        own = extended[rows]
        rest = gram - weighted[rows].T @ own
        target = moment - weighted[rows].T @ wanted[rows]
        scale = rest.diagonal()[:-1].mean().clamp(min=1e-6)
        for penalty, score in zip(PENALTIES, scores, strict=True):
            ridge = torch.full((len(rest),), float(penalty * scale))
            ridge[-1] = 1e-6 * scale
            factor = torch.linalg.cholesky(rest + torch.diag(ridge))
            score[rows] = own @ torch.cholesky_solve(target, factor)
    return scores


def _temperature(scores: Tensor, targets: Targets) -> tuple[float, float]:
    """The factor on the scores with the lowest cross-entropy, and that cross-entropy."""
    labels = torch.from_numpy(targets)

    def loss(logarithm: float) -> float:
        return float(functional.cross_entropy(scores * float(np.exp(logarithm)), labels))

    found = minimize_scalar(loss, bounds=(-2, 6), method="bounded", options={"xatol": 0.02})
    return float(np.exp(found.x)), float(found.fun)


def _probabilities(scores: Tensor, targets: Targets) -> Floats:
    factor, _ = _temperature(scores, targets)
    values: Floats = (scores * factor).softmax(dim=1).numpy()
    return values
