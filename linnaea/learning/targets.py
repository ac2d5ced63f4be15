"""What an image shows, as a class index or as a weight per class, and how well answers agree with it."""

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional


def as_weights(targets: Tensor, classes: int) -> Tensor:
    """Class indices (N,) as weights (N, K) of 0 and 1; class weights (N, K) as they are; float32."""
    return functional.one_hot(targets, classes).float() if targets.ndim == 1 else targets.float()


def smoothed(weights: Tensor, label_smoothing: float) -> Tensor:
    """Class weights (N, K) of which the share `label_smoothing` is spread over all classes (Szegedy et al. 2016)."""
    return weights * (1 - label_smoothing) + label_smoothing / weights.shape[1]


def score(logits: npt.NDArray[Any], targets: npt.NDArray[Any], weights: npt.NDArray[Any] | None = None) -> float:
    """How good logits (N, K) are, 0 to 1, images counting by `weights` (N,): what choices on val go by.

    The share of right answers where targets are class indices (N,); the mean over classes of average precision where
    they are 0, 1 and NaN, unknown, (N, K). A class without a known image in or outside it is left out; 0 when all are.
    """
    counted = np.ones(len(targets)) if weights is None else weights.astype(np.float64)
    if targets.ndim == 1:
        return float(counted @ (logits.argmax(axis=1) == targets) / counted.sum())
    from sklearn.metrics import average_precision_score

    found = []
    for scores, truth in zip(logits.T, targets.T, strict=True):
        known = ~np.isnan(truth)
        if 0 < truth[known].sum() < known.sum():
            found.append(average_precision_score(truth[known], scores[known], sample_weight=counted[known]))
    return float(np.mean(found)) if found else 0.0
