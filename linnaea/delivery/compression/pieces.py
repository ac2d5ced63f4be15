"""Pieces of a network: channels and heads that can only go together, what they are worth, and what they cost."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from linnaea.delivery.compression.saliency import term
from linnaea.models.network import Network
from linnaea.models.surgery.narrowing import has_heads

MULTIPLE = 8  # of channels, by which processors compute
LEAST = 8  # part of the channels of a layer that are always kept
PASS = 32  # multiplications that cost as much as writing and reading a number
NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True)
class Piece:
    """Channels that can only go together, `several` at a time: what each is worth, what each costs, how to take it.

    `worth` (C,) is in squares of the loss, `cost` in multiplications of one channel; `layer` is the name of the layer
    that they are outputs of, or of an attention whose heads they are.
    """

    layer: str
    worth: Tensor
    cost: float
    several: int = 1
    head: bool = False

    @property
    def most(self) -> int:
        """How many may go at the most."""
        count = len(self.worth)
        kept = max(1, math.ceil(count / LEAST)) if self.head else max(min(count, MULTIPLE), math.ceil(count / LEAST))
        return count - kept

    def gone(self, wanted: int) -> list[int]:
        """The positions of so many of the least worth, rounded so that what is left is a multiple of 8."""
        count = len(self.worth)
        left = count - min(wanted, self.most)
        if not self.head:
            left = min(count, max(count - self.most, round(left / MULTIPLE) * MULTIPLE))
        return sorted(torch.argsort(self.worth, stable=True)[: count - left].tolist())


def places_of(network: Network, probe: Tensor) -> dict[str, int]:
    """How many places (pixels, tokens) each layer computes an output for."""
    found: dict[str, int] = {}

    def note(name: str, result: Tensor) -> None:
        channels = result.shape[1] if result.ndim == 4 else result.shape[-1]
        found[name] = max(found.get(name, 0), result.numel() // max(1, channels))

    layers = [(name, part) for name, part in network.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    hooks = [part.register_forward_hook(lambda _, __, result, name=name: note(name, result)) for name, part in layers]
    with torch.no_grad():
        network(probe)
    for hook in hooks:
        hook.remove()
    return found


def channels_of(
    network: Network, graph: Any, names: Mapping[Any, str], sizes: Mapping[str, int], saliency: Mapping[str, Tensor]
) -> Iterator[Piece]:
    """The pieces of convolutions and linear layers, but for the classes, and for what an attention reads or writes."""
    left = [network.classifier, *_attentions(network)]
    untouched = {part for one in left for part in one.modules()} - {network.classifier}
    for group in graph.get_all_groups(ignored_layers=[network.classifier], root_module_types=(nn.Conv2d, nn.Linear)):
        parts = [dependency.target.module for dependency, _ in group]
        if any(isinstance(part, nn.Module) and part in untouched for part in parts):
            continue
        worth, cost = _worth_and_cost(group, graph, names, sizes, saliency)
        several = _in_groups(group, graph)
        if worth is not None and cost > 0 and len(worth) % several == 0:
            worth = worth.reshape(several, -1).sum(dim=0)
            piece = Piece(names[group[0].dep.target.module], worth, cost * several, several)
            if piece.most > 0:
                yield piece


def _attentions(network: nn.Module) -> list[nn.Module]:
    """Parts whose layers take each other's width apart by heads."""
    known = (nn.MultiheadAttention,)
    return [part for part in network.modules() if isinstance(part, known) or hasattr(part, "num_heads")]


def _in_groups(group: Any, graph: Any) -> int:
    """Into how many groups of channels a convolution or a normalisation divides them."""
    found = 1
    for dependency, _ in group:
        layer = dependency.target.module
        if isinstance(layer, nn.GroupNorm):
            found = max(found, layer.num_groups)
        if isinstance(layer, nn.Conv2d) and not layer.groups == layer.out_channels > 1:
            found = max(found, layer.groups)
    return found


def _worth_and_cost(
    group: Any, graph: Any, names: Mapping[Any, str], sizes: Mapping[str, int], saliency: Mapping[str, Tensor]
) -> tuple[Tensor | None, float]:
    """What each channel of a group is worth, by its normalisations or else its layers, and what one of them costs."""
    count = len(group[0].idxs)
    sums = {kind: torch.zeros(count, dtype=torch.float64) for kind in ("norm", "layer")}
    seen, cost = dict.fromkeys(sums, False), 0.0
    for item in group:
        layer, name = item.dep.target.module, names.get(item.dep.target.module)
        if name is None or not isinstance(layer, (*NORMS, nn.Conv2d, nn.Linear)):
            continue
        outwards = bool(graph.is_out_channel_pruning_fn(item.dep.handler))
        cost += _cost(layer, sizes.get(name, 0), outwards=outwards) * len(item.idxs) / count
        kind = "norm" if isinstance(layer, _BatchNorm) else "layer"
        if outwards and name in saliency and not any(place is None for place in item.root_idxs):
            sums[kind].scatter_add_(0, torch.tensor(item.root_idxs), term(saliency, name)[item.idxs])
            seen[kind] = True
    kinds = [kind for kind in ("norm", "layer") if seen[kind]]
    return (sums[kinds[0]] if kinds else None), cost


def _cost(layer: nn.Module, places: int, *, outwards: bool) -> float:
    """Multiplications that go with a channel of a layer, those for moving its numbers counted."""
    if not isinstance(layer, nn.Conv2d | nn.Linear):
        return 0.0
    weights, width = layer.weight.numel(), layer.weight.shape[0 if outwards else 1]
    return places * (weights / width + (PASS if outwards else 0))


def heads_of(network: Network, saliency: Mapping[str, Tensor], sizes: Mapping[str, int]) -> Iterator[Piece]:
    """The heads of plain attentions, each worth what its numbers are in the layer after it."""
    for name, part in network.named_modules():
        attention: Any = part
        if not has_heads(part) or f"{name}.proj:in" not in saliency or not _is_plain(attention):
            continue
        worth = saliency[f"{name}.proj:in"].reshape(attention.num_heads, attention.head_dim).sum(dim=1)
        inputs, places = attention.qkv.in_features, sizes[f"{name}.qkv"]
        cost = places * attention.head_dim * (4 * inputs + 2 * places)
        piece = Piece(name, worth, float(cost), head=True)
        if piece.most > 0:
            yield piece


def _is_plain(attention: Any) -> bool:
    """Whether nothing of it has the width of all heads but the layers before and after."""
    wide = attention.num_heads * attention.head_dim
    known = attention.qkv.out_features == 3 * wide and attention.proj.in_features == wide
    kinds = type(attention.qkv) is nn.Linear and type(attention.proj) is nn.Linear
    plain = isinstance(getattr(attention, "norm", nn.Identity()), nn.Identity)
    return bool(known and kinds and plain and getattr(attention, "gate", None) is None)
