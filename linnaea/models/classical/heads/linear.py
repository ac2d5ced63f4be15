"""Linear heads, by scikit-learn: the support vector machine and logistic regression."""

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from linnaea.arrays import Float64
from linnaea.models.classical.heads.contract import HEADS, UNSEEN, Head, Samples

STRENGTHS = (0.1, 1.0, 10.0, 100.0)
ITERATIONS = 300


class Linear(Head):
    """Raw scores that are linear in the features: `weight` (K, D) and `bias` (K,)."""

    linear = True
    most = 50_000
    strength = 1.0
    weight: Tensor
    bias: Tensor

    def __init__(self, classes: int, length: int) -> None:
        super().__init__(classes=classes, length=length)
        self.register_buffer("weight", torch.zeros(classes, length))
        self.register_buffer("bias", torch.zeros(classes))

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, D) to raw scores (N, K)."""
        return features @ self.weight.T + self.bias

    @classmethod
    def candidates(cls, samples: Samples) -> Iterator[tuple[str, Self]]:
        """One head per strength C of the features, brought to their mean and a mean square length of 1."""
        yield from cls._path(samples, STRENGTHS)

    @classmethod
    def again(cls, samples: Samples, best: Self) -> Self:
        """By the strength of the best one."""
        ((_, head),) = cls._path(samples, (best.strength,))
        return head

    @classmethod
    def _path(cls, samples: Samples, strengths: Sequence[float]) -> Iterator[tuple[str, Self]]:
        centre = samples.features.mean(axis=0)
        scale = float(np.sqrt(np.mean(np.sum((samples.features - centre) ** 2, axis=1)))) or 1.0
        inputs = Samples(
            (samples.features - centre) / np.float32(scale),
            samples.targets,
            samples.classes,
            samples.weights,
            samples.seed,
        )
        for strength in strengths:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=_convergence())  # nearly there is as good on val
                weight, bias = cls.solve(inputs, strength)
            weight = weight / scale
            head = cls(*weight.shape).holding(weight=weight, bias=bias - weight @ centre)
            head.strength = strength
            yield f"C = {strength:g}", head

    @classmethod
    @abstractmethod
    def solve(cls, samples: Samples, strength: float) -> tuple[Float64, Float64]:
        """The weight (K, D) and bias (K,) of such features."""


@HEADS.register("svm", title="Linear support vector machine", cost="seconds")
class LinearMachine(Linear):
    """A linear support vector machine for each class against all others (Cortes and Vapnik 1995), squared hinge."""

    kind = "svm"

    @classmethod
    def solve(cls, samples: Samples, strength: float) -> tuple[Float64, Float64]:
        """By liblinear, one class or label after the other."""
        from sklearn.svm import LinearSVC

        return _each_against_rest(samples, lambda: LinearSVC(C=strength, max_iter=ITERATIONS, random_state=0))


@HEADS.register("logistic", title="Logistic regression", cost="seconds")
class Logistic(Linear):
    """Multinomial logistic regression; of several labels one regression for each (Cox 1958)."""

    kind = "logistic"

    @classmethod
    def solve(cls, samples: Samples, strength: float) -> tuple[Float64, Float64]:
        """By L-BFGS."""
        from sklearn.linear_model import LogisticRegression

        present = np.unique(samples.targets)
        if samples.several or len(present) < 2:
            return _each_against_rest(samples, lambda: LogisticRegression(C=strength, max_iter=ITERATIONS))
        fitted = LogisticRegression(C=strength, max_iter=ITERATIONS).fit(
            samples.features, samples.targets, samples.weights
        )
        weight = np.zeros((samples.classes, samples.features.shape[1]))
        bias = np.full(samples.classes, UNSEEN)
        both = len(present) == 2  # of which scikit-learn keeps the second alone
        weight[present] = np.concatenate([-fitted.coef_ / 2, fitted.coef_ / 2]) if both else fitted.coef_
        bias[present] = np.concatenate([-fitted.intercept_ / 2, fitted.intercept_ / 2]) if both else fitted.intercept_
        return weight, bias


def _each_against_rest(samples: Samples, make: Any) -> tuple[Float64, Float64]:
    weight = np.zeros((samples.classes, samples.features.shape[1]))
    bias = np.zeros(samples.classes)
    for number in range(samples.classes):
        own = samples.against_rest(number)
        if own.only is not None:
            bias[number] = own.only
            continue
        fitted = make().fit(own.features, own.targets, own.weights)
        weight[number], bias[number] = fitted.coef_[0], fitted.intercept_[0]
    return weight, bias


def _convergence() -> type[Warning]:
    from sklearn.exceptions import ConvergenceWarning

    kind: type[Warning] = ConvergenceWarning
    return kind
