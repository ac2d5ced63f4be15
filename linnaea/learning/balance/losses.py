"""Losses in which rare classes, or hard images, count more."""

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional

from linnaea.arrays import Float64
from linnaea.learning.balance.contract import BALANCERS, Balancer
from linnaea.learning.losses.contract import Context
from linnaea.learning.losses.focal import focal as focal_loss

CONFIDENCE = (
    "Focal loss draws probabilities towards each other; the temperature, fitted afterwards on val, mends that on the "
    "whole, not class by class."
)


def class_weights(counts: npt.NDArray[np.int64], power: float) -> Float64:
    """Weigh each class by the inverse of its number of images (King and Zeng 2001)."""
    weights = np.maximum(counts, 1).astype(np.float64) ** -power
    scaled: Float64 = weights * counts.sum() / (weights * counts).sum()
    return scaled


def class_balanced(counts: npt.NDArray[np.int64], beta: float) -> Float64:
    """Weigh each class by the inverse of its effective number of images (Cui et al. 2019)."""
    weights = (1 - beta) / (1 - beta ** np.maximum(counts, 1).astype(np.float64))
    scaled: Float64 = weights * counts.sum() / (weights * counts).sum()
    return scaled


def focal(logits: Tensor, wanted: Tensor, shares: Tensor, gamma: float) -> Tensor:
    """Let images count less that are answered with confidence, by (1 - p)^2 (Lin et al. 2017)."""
    return focal_loss(logits, wanted, Context(amount=gamma))


def logit_adjustment(logits: Tensor, wanted: Tensor, shares: Tensor, strength: float) -> Tensor:
    """Add the logarithm of each class's share to its logit while learning, not afterwards (Menon et al. 2021)."""
    return functional.cross_entropy(logits + strength * shares.log(), wanted, reduction="none")


BALANCERS.register(
    "class_weights",
    title="Class weights",
    meaning="Weigh each class by the inverse of its number of images (King and Zeng 2001).",
    amount=("the power", 1, 0, 2),
)(Balancer("weights", class_weights))
BALANCERS.register(
    "class_balanced",
    title="Class-balanced loss",
    meaning="Weigh each class by the inverse of its effective number of images (Cui et al. 2019).",
    amount=("beta", 0.999, 0, 0.99999),
)(Balancer("weights", class_balanced))
BALANCERS.register(
    "focal",
    title="Focal loss",
    meaning="Let images count less that are answered with confidence, by (1 - p)^2 (Lin et al. 2017).",
    amount=("gamma", 2, 0, 10),
)(Balancer("loss", focal, CONFIDENCE))
BALANCERS.register(
    "logit_adjustment",
    title="Logit adjustment",
    meaning="Add the logarithm of each class's share to its logit while learning (Menon et al. 2021).",
    amount=("the strength", 1, 0, 3),
)(Balancer("loss", logit_adjustment))
