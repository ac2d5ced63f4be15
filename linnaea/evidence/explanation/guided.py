"""Guided backpropagation: gradients that only what is active, and speaks for the class, may carry."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from linnaea.arrays import Array, Integers
from linnaea.evidence.explanation.contract import EXPLAINERS, Maps, Settings
from linnaea.evidence.explanation.gradients import gradient_of, steepest
from linnaea.evidence.explanation.subject import Subject

RELU = ("relu", "relu_")
RELU6 = ("relu6", "relu6_", "hardtanh", "hardtanh_")  # ReLU6 calls hardtanh
MOST_OF_RELU6 = 6.0


@EXPLAINERS.register(
    "guided_backprop",
    title="Guided backprop",
    meaning="Saliency where each ReLU lets only positive gradients through (Springenberg et al. 2015).",
    kind="map",
    needs="gradients",
    signed=False,
    order=13,
)
def guided_backprop(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Maps:
    """Maps (N, S, S) of 0 and above; a network without ReLU, of which it is said, has its saliency."""
    with _Guided() as guided:
        gradient = gradient_of(subject, subject.tensor(pixels), targets)
    told = f"{guided.met} ReLUs are guided" if guided.met else "the network has no ReLU: this is its saliency"
    return Maps(steepest(gradient), told)


class _Guided(TorchFunctionMode):
    """Every ReLU that is computed within is guided, whether a layer or a function of the network, which stays as it is.

    `met` is how many there were.
    """

    def __init__(self) -> None:
        super().__init__()
        self.met = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options, name = kwargs or {}, getattr(func, "__name__", "")
        if name in RELU and args:
            return self._guided(args[0], float("inf"))
        if name in RELU6 and args and _is_relu6(name, args, options):
            return self._guided(args[0], MOST_OF_RELU6)
        return func(*args, **options)

    def _guided(self, given: Tensor, most: float) -> Tensor:
        self.met += 1
        made: Tensor = _GuidedReLU.apply(given, most)
        return made


def _is_relu6(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> bool:
    if name.startswith("relu6"):
        return True
    low = args[1] if len(args) > 1 else options.get("min_val")
    high = args[2] if len(args) > 2 else options.get("max_val")
    return low == 0 and high == MOST_OF_RELU6


class _GuidedReLU(torch.autograd.Function):
    """ReLU, cut at `most`, whose gradient passes where it is positive and the unit is active."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, most: float) -> Tensor:
        ctx.save_for_backward((given > 0) & (given < most))
        return given.clamp(0, most)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (active,) = ctx.saved_tensors
        return gradients[0].clamp(min=0) * active, None
