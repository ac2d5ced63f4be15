"""Nearest neighbours."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from linnaea.arrays import Array
from linnaea.models.classical.heads.contract import HEADS, Head, Samples

COUNTS = (25, 11, 5)
AT_ONCE = 512  # images


@HEADS.register("knn", title="Nearest neighbours")
class Neighbours(Head):
    """What the k nearest images of training are, each with one vote (Cover and Hart 1967); k is chosen on val.

    `examples` (R, D) are images of training, `labels` (R, K) their targets, NaN where they are not known. The score is
    the logarithm of the share of votes, or of its odds with several labels, one vote being added for no class.
    """

    kind = "knn"
    weighs = False
    examples: Tensor
    labels: Tensor

    def __init__(self, classes: int, count: int, length: int, neighbours: int, several: bool, bits: bool) -> None:
        super().__init__(classes=classes, count=count, length=length, neighbours=neighbours, several=several, bits=bits)
        self.neighbours, self.several = neighbours, several
        self.register_buffer("examples", torch.zeros(count, length, dtype=torch.uint8 if bits else torch.float32))
        self.register_buffer("labels", torch.zeros(count, classes, dtype=torch.uint8))

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, D) to raw scores (N, K)."""
        if torch.compiler.is_exporting():  # a graph holds no loop over as many images as there may be
            return self._scores(features)
        return torch.cat([self._scores(part) for part in torch.split(features, AT_ONCE)])

    def votes(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Votes for each class or label (N, K), and how many neighbours of each image have a vote on it (N, K)."""
        examples = self.examples.float()
        centre = examples.mean(dim=0)
        own, known = features - centre, examples - centre
        distances = known.square().sum(dim=1) - 2 * own @ known.T
        nearest = self.labels[distances.topk(self.neighbours, dim=1, largest=False).indices]
        return (nearest == YES).sum(dim=1).float(), (nearest != UNKNOWN).sum(dim=1).float()

    def _scores(self, features: Tensor) -> Tensor:
        yes, asked = self.votes(features)
        if self.several:
            return ((yes + 0.5) / (asked - yes + 0.5)).log()
        return ((yes + 1 / yes.shape[1]) / (asked + 1)).log()

    @classmethod
    def candidates(cls, samples: Samples) -> Iterator[tuple[str, "Neighbours"]]:
        """The same images with several numbers of neighbours."""
        bits = bool(np.isin(samples.features[:64], (0, 1)).all() and np.isin(samples.features, (0, 1)).all())
        count, length = samples.features.shape
        for number in sorted({min(each, count) for each in COUNTS}, reverse=True):
            head = cls(samples.classes, count, length, number, samples.several, bits)
            yield f"k = {number}", head.holding(examples=samples.features, labels=_labels(samples))


NO, YES, UNKNOWN = 0, 1, 2


def _labels(samples: Samples) -> Array:
    if not samples.several:
        return np.eye(samples.classes, dtype=np.uint8)[samples.targets]
    return np.where(np.isnan(samples.targets), UNKNOWN, samples.targets).astype(np.uint8)
