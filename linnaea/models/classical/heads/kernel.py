"""The support vector machine with a Gaussian kernel, by scikit-learn."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from linnaea.arrays import Float64
from linnaea.models.classical.heads.contract import HEADS, Head, Samples

STRENGTHS = (1.0, 10.0)
AT_ONCE = 512  # images


@HEADS.register("rbf", title="Support vector machine with a Gaussian kernel", cost="minutes")
class KernelMachine(Head):
    """A support vector machine with a Gaussian kernel for each class against all others (Boser et al. 1992).

    `vectors` (V, D) are the support vectors of all classes, `duals` (K, V) what they count for each, `bias` (K,) is
    added, and `width` is the factor on squared distances: one by the features' variance and number. It is fitted on
    4,000 images at the most.
    """

    kind = "rbf"
    most = 4_000
    vectors: Tensor
    duals: Tensor
    bias: Tensor
    width: Tensor

    def __init__(self, classes: int, vectors: int, length: int) -> None:
        super().__init__(classes=classes, vectors=vectors, length=length)
        self.register_buffer("vectors", torch.zeros(vectors, length))
        self.register_buffer("duals", torch.zeros(classes, vectors, dtype=torch.float64))
        self.register_buffer("bias", torch.zeros(classes, dtype=torch.float64))
        self.register_buffer("width", torch.ones((), dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, D) to raw scores (N, K)."""
        if torch.compiler.is_exporting():  # a graph holds no loop over as many images as there may be
            return self._scores(features)
        return torch.cat([self._scores(part) for part in torch.split(features, AT_ONCE)])

    def _scores(self, features: Tensor) -> Tensor:
        similar = (-self.width * _squared_distances(features, self.vectors)).exp()
        return (similar @ self.duals.T + self.bias).float()

    @classmethod
    def candidates(cls, samples: Samples) -> Iterator[tuple[str, "KernelMachine"]]:
        """One head per strength C; the kernel's width is 1 / (D times the variance of all features)."""
        inputs = torch.from_numpy(samples.features)
        width = 1 / max(float(samples.features.var()) * samples.features.shape[1], 1e-12)
        similar = (-width * _squared_distances(inputs, inputs)).exp().numpy()
        for strength in STRENGTHS:
            duals, bias = _solved(samples, similar, strength)
            used = np.flatnonzero(np.any(duals != 0, axis=0))
            head = cls(samples.classes, len(used), inputs.shape[1])
            yield (
                f"C = {strength:g}",
                head.holding(vectors=samples.features[used], duals=duals[:, used], bias=bias, width=np.array(width)),
            )


def _solved(samples: Samples, similar: Float64, strength: float) -> tuple[Float64, Float64]:
    """What each image counts for each class (K, N), and what is added (K,)."""
    from sklearn.svm import SVC

    duals = np.zeros((samples.classes, len(samples.features)))
    bias = np.zeros(samples.classes)
    for number in range(samples.classes):
        own = samples.against_rest(number)
        if own.only is not None:
            bias[number] = own.only
            continue
        there = np.flatnonzero(~np.isnan(samples.targets[:, number])) if samples.several else slice(None)
        products = similar[there][:, there]
        machine = SVC(C=strength, kernel="precomputed").fit(products, own.targets, own.weights)
        mine = np.zeros(len(own.targets))
        mine[machine.support_] = machine.dual_coef_[0]
        duals[number, there], bias[number] = mine, machine.intercept_[0]
    return duals, bias


def _squared_distances(features: Tensor, others: Tensor) -> Tensor:
    """Squared distances (N, M) of features (N, D) and (M, D), in float64."""
    one, two = features.double(), others.double()
    return (one.square().sum(dim=1, keepdim=True) + two.square().sum(dim=1) - 2 * one @ two.T).clamp(min=0)
