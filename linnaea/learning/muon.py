"""Muon: momentum whose step on a convolution is made orthogonal, other parameters by Nesterov momentum."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic that drives singular values towards one
ITERATIONS = 3


class Muon(torch.optim.Optimizer):
    """Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".

    In a group with `orthogonal` true, weights (out, ...) are seen as matrices (out, n): their step is the momentum
    with all singular values near one, and their norm is kept at the root of `out`, which suits layers that a
    normalisation follows. Other groups take steps of Nesterov momentum with weight decay, as in torch.optim.SGD.
    """

    def __init__(self, parameters: Iterable[Any], lr: float, momentum: float, weight_decay: float = 0.0) -> None:
        usual = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "orthogonal": False}
        super().__init__(parameters, usual)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; the closure, where there is one, is called first for the loss and the gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)
        return loss

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum = state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
        change = gradient.add(momentum, alpha=group["momentum"])
        if group["orthogonal"]:
            parameter.mul_(len(parameter) ** 0.5 / parameter.norm().clamp(min=1e-12))
            change = orthogonalized(change.flatten(1)).view_as(parameter)
        parameter.add_(change, alpha=-group["lr"])


def orthogonalized(matrix: Tensor) -> Tensor:
    """A matrix (M, N) with nearly the same singular vectors and singular values between about 0.7 and 1.2.

    By three iterations of a quintic Newton-Schulz scheme on the matrix divided by its Frobenius norm.
    """
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide / wide.norm().clamp(min=1e-12)
    first, third, fifth = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = wide @ wide.T
        wide = first * wide + (third * square + fifth * square @ square) @ wide
    near: Tensor = wide.T if matrix.shape[0] > matrix.shape[1] else wide
    return near
