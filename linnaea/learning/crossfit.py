"""Out-of-sample probabilities: what a classifier says of images it was not fitted on, for all of them."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from linnaea.arrays import Float32, Integers
from linnaea.learning.heads import spanned
from linnaea.learning.losses.cross_entropy import cross_entropy
from linnaea.learning.temperature import best_factor

SCALES = (-2.0, 6.0)  # the logarithm of the factor on scores
PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)  # times the mean variance of the standardised features


def cross_fit(features: Float32, folds: Integers) -> Callable[[Integers, int], Float32]:
    """A function of class indices (N,) and the number of classes K that gives probabilities (N, K) out of sample.

    They come from ridge regression of the other folds, in closed form: `features` (N, D), `folds` (N,) the fold of each
    image; copies of an image and images of a group belong in one fold. The penalty and the temperature are those of
    the lowest cross-entropy. The normal equations are made once, N D^2 or N^2 D, and each fold's share is taken away
    from them (Golub et al. 1979); the factorisations of D x D, one per fold and penalty, are kept for further targets.
    """
    inputs = torch.from_numpy(np.asarray(features, dtype=np.float32))
    inputs = (inputs - inputs.mean(dim=0)) / inputs.std(dim=0).clamp(min=1e-6)
    length, inputs = inputs.shape[1], spanned(inputs)[0]
    extended = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1)
    gram = extended.T @ extended
    parts = [torch.from_numpy(np.flatnonzero(folds == fold)) for fold in np.unique(folds)]
    factors = [_factors(gram - extended[rows].T @ extended[rows], length) for rows in parts]

    def probabilities(targets: Integers, classes: int) -> Float32:
        wanted = torch.zeros(len(targets), classes).scatter_(1, torch.from_numpy(targets)[:, None], 1.0)
        moment = extended.T @ wanted
        scores = [torch.empty_like(wanted) for _ in PENALTIES]
        for rows, penalised in zip(parts, factors, strict=True):
            own = extended[rows]
            rest = moment - own.T @ wanted[rows]
            for score, factor in zip(scores, penalised, strict=True):
                score[rows] = own @ torch.cholesky_solve(rest, factor)
        return _calibrated(scores, targets)

    return probabilities


def _factors(gram: Tensor, length: int) -> list[Tensor]:
    """The Cholesky factor of the normal equations per penalty, the constant being hardly penalised.

    Penalties are times the mean variance of `length` features.
    """
    scale = (gram.diagonal()[:-1].sum() / length).clamp(min=1e-6)
    ridges = [scale * torch.tensor([penalty] * (len(gram) - 1) + [1e-6]) for penalty in PENALTIES]
    return [torch.linalg.cholesky(gram + torch.diag(ridge)) for ridge in ridges]


def _calibrated(scores: Sequence[Tensor], targets: Integers) -> Float32:
    """The probabilities of those scores (N, K) that have the lowest cross-entropy at their best temperature."""
    labels = torch.from_numpy(targets)
    tried = [(score, *best_factor(cross_entropy, score, labels, logarithms=SCALES)) for score in scores]
    score, factor, _ = min(tried, key=lambda entry: entry[2])
    values: Float32 = (score * factor).softmax(dim=1).numpy()
    return values
