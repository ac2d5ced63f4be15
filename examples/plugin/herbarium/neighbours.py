"""The nearest neighbours among the training images, as a rung of the ladder and as the model that it leaves behind."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from linnaea.learning.job import Fitted, Job
from linnaea.learning.rungs.contract import RUNGS, Rung
from linnaea.models.model import MODELS, Model, to_pixels

MOST_IMAGES = 5_000
COUNTED = 5
SHARPNESS = 20.0
LEAST = 1e-3


@MODELS.register("neighbours", title="Neighbours", meaning="The training images that look most alike vote.")
class Neighbours(Model):
    """Small copies of the training images, compared by their correlation; the nearest ones vote.

    The features of an image are the logarithms of its votes, so that the head is the identity.
    """

    kind = "neighbours"
    copies: Tensor
    labels: Tensor

    def __init__(self, classes: int, images: int, side: int = 16, counted: int = COUNTED) -> None:
        super().__init__(classes=classes, images=images, side=side, counted=counted)
        self.side, self.counted = side, min(counted, images)
        self.register_buffer("copies", torch.zeros(images, 3 * side * side))
        self.register_buffer("labels", torch.zeros(images, classes))

    def small(self, pixels: Tensor) -> Tensor:
        """Small copies of images, of mean 0 and length 1, shape (N, D)."""
        copies = functional.adaptive_avg_pool2d(pixels, self.side).flatten(1)
        return functional.normalize(copies - copies.mean(dim=1, keepdim=True), dim=1)

    def features(self, pixels: Tensor) -> Tensor:
        """The logarithm of each class's share of the votes, shape (N, K)."""
        alike, rows = (self.small(pixels) @ self.copies.T).topk(self.counted, dim=1)
        votes = functional.softmax(SHARPNESS * alike, dim=1)
        return ((votes[..., None] * self.labels[rows]).sum(dim=1) + LEAST).log()

    def head(self, features: Tensor) -> Tensor:
        """The same."""
        return features


def fit_neighbours(job: Job) -> Fitted:
    """Remember small copies of the training images, at most 5,000 of them."""
    train = job.subset(MOST_IMAGES)
    model = Neighbours(job.classes, len(train))
    pixels = (to_pixels(torch.from_numpy(train.images[start : start + 500])) for start in range(0, len(train), 500))
    model.copies.copy_(torch.cat([model.small(part) for part in pixels]))
    several = train.targets.ndim == 2
    known = np.nan_to_num(train.targets) if several else np.eye(job.classes)[train.targets]
    model.labels.copy_(torch.from_numpy(known))
    return Fitted(model, notes=[f"The {model.counted} most alike of {len(train)} training images vote."])


RUNGS.register(
    "neighbours", title="Neighbours", meaning="The training images that look most alike vote.", cost="seconds"
)(Rung(fit_neighbours, pretrained=None))
