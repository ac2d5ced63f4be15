"""A network that is trained while it computes as if with integers (Jacob et al. 2018), by torch's own rounding.

Weights are rounded to 8 bits by output channel, what comes into each layer to 8 bits within a range that follows what
is seen; gradients pass as if nothing had been rounded. Nothing stays of it afterwards but better weights.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from linnaea.arrays import Images
from linnaea.models import Model
from linnaea.models.compiled import as_float
from linnaea.models.folding import fold

LAYERS = (nn.Conv2d, nn.Linear)
LARGEST, LEVELS = 127, 255
FOLLOWING = 0.05  # of the way that a range goes to what a batch shows
TINY = 1e-8
AT_ONCE = 16


class _Rounded(nn.Module):
    """A weight (K, ...) as integers from -127 to 127 times a scale for each output channel."""

    def forward(self, weight: Tensor) -> Tensor:
        """As if rounded, with gradients as if not."""
        scales = (weight.detach().abs().flatten(1).amax(dim=1) / LARGEST).clamp(min=TINY)
        zeros = torch.zeros_like(scales, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scales, zeros, 0, -LARGEST, LARGEST)


class _Ranged(nn.Module):
    """What comes into a layer as integers from 0 to 255 within a range, which follows what is seen in training."""

    low: Tensor
    high: Tensor
    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.watching = False
        for name in ("low", "high", "seen"):
            self.register_buffer(name, torch.zeros(()))

    def forward(self, values: Tensor) -> Tensor:
        """As if rounded, with gradients as if not within the range."""
        if self.training or self.watching:
            self._follow(values.detach())
        if self.watching:
            return values
        scale = ((self.high - self.low) / LEVELS).clamp(min=TINY)
        zero = (-self.low / scale).round().clamp(0, LEVELS).to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(values, scale, zero, 0, LEVELS)

    @torch.no_grad()
    def _follow(self, values: Tensor) -> None:
        low, high = values.amin().clamp(max=0), values.amax().clamp(min=0)
        if not bool(self.seen):
            self.low.copy_(low)
            self.high.copy_(high)
            self.seen.fill_(1)
        self.low.lerp_(low, FOLLOWING)
        self.high.lerp_(high, FOLLOWING)


def _enter(layer: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    return (layer.get_submodule("ranged")(given[0]), *given[1:])


@torch.no_grad()
def simulated(model: Model, images: Images) -> Model:
    """A copy with batch normalisation folded away whose layers, but for its head, compute as if with integers.

    Ranges are told at first by images (N, S, S, C).
    """
    made = fold(model, images.shape[1])
    chosen = [layer for name, layer in made.named_modules() if isinstance(layer, LAYERS) and name != "classifier"]
    for layer in chosen:
        parametrize.register_parametrization(layer, "weight", _Rounded())
        layer.add_module("ranged", _Ranged())
        layer.register_forward_pre_hook(_enter)
    _watch(made, True)
    for start in range(0, len(images), AT_ONCE):
        pixels = torch.from_numpy(as_float(images[start : start + AT_ONCE]))
        made.features(pixels.permute(0, 3, 1, 2).contiguous())
    _watch(made, False)
    return made


def freed(model: Model) -> Model:
    """The model, changed in place, with the float weights that were trained, and nothing simulated any more."""
    for layer in model.modules():
        if isinstance(layer, LAYERS) and parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
            layer._forward_pre_hooks.clear()
            del layer.ranged
    return model.eval()


def _watch(model: Model, watching: bool) -> None:
    for part in model.modules():
        if isinstance(part, _Ranged):
            part.watching = watching
