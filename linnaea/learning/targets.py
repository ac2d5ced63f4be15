"""What a picture shows, as a class index or as a weight per class."""

from torch import Tensor
from torch.nn import functional


def as_weights(targets: Tensor, classes: int) -> Tensor:
    """Class indices (N,) as weights (N, K) of 0 and 1; class weights (N, K) as they are; float32."""
    return functional.one_hot(targets, classes).float() if targets.ndim == 1 else targets.float()


def smoothed(weights: Tensor, label_smoothing: float) -> Tensor:
    """Class weights (N, K) of which the share `label_smoothing` is spread over all classes (Szegedy et al. 2016)."""
    return weights * (1 - label_smoothing) + label_smoothing / weights.shape[1]
