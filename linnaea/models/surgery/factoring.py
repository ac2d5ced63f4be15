"""A layer as two or three thin ones, one after the other: what is left of its rank."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

FACTORED_CONVOLUTIONS = ("Conv2d", "Conv2dSame")  # of torch, and of timm with the padding of TensorFlow


def factor(body: nn.Module, ranks: Mapping[str, int | Sequence[int]]) -> None:
    """Put thin layers in place of some of a body's, by their names: two for a rank, three for a pair of ranks.

    A linear layer, or a convolution of single pixels, of rank r goes by way of r channels. A convolution of ranks
    (r, s) becomes one of single pixels to r channels, one like itself from r to s channels, and one of single pixels
    (Tucker-2, Kim et al. 2016). The new layers are to be filled. Raises ValueError for a layer that cannot be factored.
    """
    layers = dict(body.named_modules())
    for name, rank in ranks.items():
        if name not in layers or not is_factorable(layers[name]):
            raise ValueError(f"{name} is no layer that can be factored")
        body.set_submodule(name, thin(layers[name], rank))


def is_factorable(layer: nn.Module) -> bool:
    """Whether a layer can be two or three thin ones: linear, or a convolution of all its channels."""
    if type(layer) is nn.Linear:
        return True
    return type(layer).__name__ in FACTORED_CONVOLUTIONS and isinstance(layer, nn.Conv2d) and layer.groups == 1


def of_single_pixels(layer: nn.Module) -> bool:
    """Whether a layer is a matrix for each pixel."""
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1))


def thin(layer: Any, rank: int | Sequence[int]) -> nn.Sequential:
    """The thin layers of a rank or a pair of ranks, with random weights."""
    single = of_single_pixels(layer)
    wanted = [rank] if isinstance(rank, int) else list(rank)
    widths = (
        (layer.in_features, layer.out_features)
        if isinstance(layer, nn.Linear)
        else (layer.in_channels, layer.out_channels)
    )
    most = [min(widths)] if single else list(widths)
    fitting = len(wanted) == len(most) and all(
        isinstance(one, int) and not isinstance(one, bool) and 1 <= one <= limit
        for one, limit in zip(wanted, most, strict=True)
    )
    if not fitting:
        raise ValueError(f"the rank {rank!r} does not fit a layer of {widths[0]} and {widths[1]} channels")
    before, after = widths
    if isinstance(layer, nn.Linear):
        return nn.Sequential(nn.Linear(before, wanted[0], bias=False), nn.Linear(wanted[0], after, bias=_biased(layer)))
    if single:
        first = _like(layer, before, wanted[0], bias=False)
        return nn.Sequential(first, nn.Conv2d(wanted[0], after, 1, bias=_biased(layer)))
    return nn.Sequential(
        nn.Conv2d(before, wanted[0], 1, bias=False),
        _like(layer, wanted[0], wanted[1], bias=False),
        nn.Conv2d(wanted[1], after, 1, bias=_biased(layer)),
    )


def _biased(layer: Any) -> bool:
    return layer.bias is not None


def _like(layer: nn.Conv2d, before: int, after: int, *, bias: bool) -> nn.Module:
    """A convolution of the same size, stride and padding, between other numbers of channels."""
    make: Any = type(layer)
    made: nn.Module = make(
        before, after, layer.kernel_size, stride=layer.stride, padding=layer.padding, dilation=layer.dilation, bias=bias
    )
    return made
