"""TracIn in closed form: what training on one image did to the loss on another, in the last layer."""

import numpy as np
from scipy.special import expit, softmax

from linnaea.arrays import Float64, Floats, Targets


def residuals(logits: Floats, targets: Targets) -> Float64:
    """The derivative of the loss by the logits (N, K): of cross-entropy or, of targets (N, K), of binary cross-entropy.

    Targets are class indices (N,) or 0, 1 and NaN, which is no part of the loss.
    """
    exact = np.asarray(logits, dtype=np.float64)
    if targets.ndim == 2:
        return np.nan_to_num(expit(exact) - targets)
    found: Float64 = softmax(exact, axis=1)
    found[np.arange(len(targets)), targets] -= 1
    return found


def influence(asked: tuple[Floats, Float64], known: tuple[Floats, Float64], *, biased: bool = True) -> Float64:
    """The products (Q, N) of the gradients of the loss on images that are asked about with those on known ones.

    Each is given by its features (., D), of which the last layer is linear, and its residuals (., K): the gradient of
    the weights is their outer product, so that the product of two gradients is that of two products. Above 0, a step of
    training on the known image lowers the loss on the other (Pruthi et al. 2020). A layer that is `biased` has one more
    feature, which is always 1.
    """
    (features, own), (others, theirs) = asked, known
    alike = np.asarray(features, dtype=np.float64) @ np.asarray(others, dtype=np.float64).T
    return np.asarray((alike + float(biased)) * (own @ theirs.T))
