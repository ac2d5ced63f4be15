"""Layers with fewer channels than the network was made with."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

Shape = Sequence[int | None]


@torch.no_grad()
def narrow(body: nn.Module, shapes: Mapping[str, Shape], heads: Mapping[str, int] | None = None) -> None:
    """Cut tensors of a body to smaller shapes, in place, and let its layers know.

    `shapes` has the new length of each dimension of a tensor, by its name, None where it stays; `heads` how many heads
    of an attention are left, by its name. What is left of a tensor is its beginning, which is to be filled anew. Raises
    ValueError for a tensor that the body does not have, and for a length that is none or larger than it was.
    """
    known = {**dict(body.named_parameters()), **dict(body.named_buffers())}
    for name, shape in shapes.items():
        if name not in known:
            raise ValueError(f"it has no tensor {name}")
        place, _, own = name.rpartition(".")
        _cut(body.get_submodule(place), own, _lengths(name, known[name], shape))
    for place in dict.fromkeys(name.rpartition(".")[0] for name in shapes):
        _let_know(body.get_submodule(place))
    for place, count in (heads or {}).items():
        _keep_heads(place, body.get_submodule(place), count)


def narrowed_from(before: nn.Module, after: nn.Module) -> dict[str, Any]:
    """The operation that makes the shapes of one body those of the other; where they are equal, its shapes are none."""
    own = {**dict(before.named_parameters()), **dict(before.named_buffers())}
    others = {**dict(after.named_parameters()), **dict(after.named_buffers())}
    if own.keys() != others.keys():
        raise ValueError("the bodies have different tensors")
    shapes = {
        name: [None if one == other else other for one, other in zip(tensor.shape, others[name].shape, strict=True)]
        for name, tensor in own.items()
        if tensor.shape != others[name].shape
    }
    heads = {
        name: part.num_heads
        for name, part in after.named_modules()
        if has_heads(part) and part.num_heads != body_part(before, name).num_heads
    }
    return {"kind": "narrowed", "shapes": shapes, "heads": heads}


def has_heads(part: nn.Module) -> bool:
    """Whether it is an attention whose heads can be taken away one by one: its width is not that of its input."""
    return all(hasattr(part, name) for name in ("qkv", "num_heads", "head_dim", "attn_dim"))


def body_part(body: nn.Module, name: str) -> Any:
    """A part of a body, by its name."""
    return body.get_submodule(name)


def _lengths(name: str, tensor: Tensor, shape: Shape) -> list[int]:
    if len(shape) != tensor.ndim:
        raise ValueError(f"{name} has {tensor.ndim} dimensions, not {len(shape)}")
    lengths = [before if wanted is None else wanted for before, wanted in zip(tensor.shape, shape, strict=True)]
    for length, before in zip(lengths, tensor.shape, strict=True):
        if isinstance(length, bool) or not isinstance(length, int) or not 1 <= length <= before:
            raise ValueError(f"{name} of the shape {tuple(tensor.shape)} cannot have the shape {list(shape)}")
    return lengths


def _cut(part: nn.Module, name: str, lengths: Sequence[int]) -> None:
    before = getattr(part, name)
    left = before.detach()[tuple(slice(length) for length in lengths)].clone()
    setattr(part, name, nn.Parameter(left, before.requires_grad) if isinstance(before, nn.Parameter) else left)


def _let_know(part: nn.Module) -> None:
    """Write down in a layer what its tensors say of its widths."""
    layer: Any = part
    if isinstance(part, _ConvNd):
        depthwise = layer.groups == layer.in_channels == layer.out_channels > 1
        layer.out_channels = layer.weight.shape[0]
        layer.groups = layer.out_channels if depthwise else layer.groups
        layer.in_channels = layer.weight.shape[1] * layer.groups
        if layer.out_channels % layer.groups:
            raise ValueError(f"{layer.out_channels} channels are not {layer.groups} groups of the same size")
    elif isinstance(part, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(part, _BatchNorm):
        layer.num_features = len(layer.running_mean if layer.running_mean is not None else layer.weight)
    elif isinstance(part, nn.LayerNorm):
        layer.normalized_shape = tuple(layer.weight.shape)
    elif isinstance(part, nn.GroupNorm):
        layer.num_channels = len(layer.weight)


def _keep_heads(place: str, attention: Any, count: int) -> None:
    if not has_heads(attention):
        raise ValueError(f"{place} has no heads to take away")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= attention.num_heads:
        raise ValueError(f"{place} has {attention.num_heads} heads, and {count!r} are to be left")
    attention.num_heads, attention.attn_dim = count, count * attention.head_dim
