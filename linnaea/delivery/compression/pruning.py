"""Channels and heads taken out of a network, so that it computes less: no masks, thinner layers."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from linnaea.delivery.compression.pieces import Piece, channels_of, heads_of, places_of
from linnaea.errors import MissingExtraError, UsageError
from linnaea.models.network import Network
from linnaea.models.surgery.narrowing import narrowed_from

CLOSE = 1e-4  # of the largest answer: how far rounding may take one


@dataclass(frozen=True)
class Traced:
    """A copy of a network with the graph of what depends on what, and the pieces that it may lose."""

    network: Network
    graph: Any
    pieces: Sequence[Piece]

    def plan(self, share: float) -> dict[str, list[int]]:
        """Which channels of which piece go so that about this share of the work of all of them goes with them."""
        if not 0 < share < 1:
            raise UsageError(f"the share of work to take out is {share}; expected a number between 0 and 1.")
        ordered = sorted(
            (float(worth) / piece.cost, place, piece.cost)
            for place, piece in enumerate(self.pieces)
            for worth in piece.worth.sort().values[: piece.most]
        )
        wanted, gone = [0] * len(self.pieces), 0.0
        limit = share * sum(piece.cost * len(piece.worth) for piece in self.pieces)
        for _, place, cost in ordered:
            if gone >= limit:
                break
            wanted[place] += 1
            gone += cost
        found = {piece.layer: piece.gone(count) for piece, count in zip(self.pieces, wanted, strict=True)}
        return {layer: rows for layer, rows in found.items() if rows}


def require_prunable(network: nn.Module) -> Network:
    """The network, if its channels can be taken out; raises UsageError where it is none of timm or torchvision."""
    if isinstance(network, Network):
        return network
    kind = getattr(network, "kind", type(network).__name__)
    raise UsageError(
        f"the model is {kind}, and channels are taken out of networks of timm and torchvision alone: use --method "
        "distill or quantize."
    )


def pruned(network: Network, share: float, saliency: Mapping[str, Tensor]) -> Network:
    """A network that does about this share less of the work of its channels, by what they are worth.

    `saliency` is of `saliency_of`. It is to be trained again: it answers worse than before. Raises UsageError for a
    network whose graph cannot be followed, and MissingExtraError without torch-pruning.
    """
    return cut(traced(network, saliency), share)


def traced(network: Network, saliency: Mapping[str, Tensor]) -> Traced:
    """Follow what depends on what in a network; raises UsageError where that cannot be done, with other ways."""
    own = copy.deepcopy(network).cpu().eval().requires_grad_(True)
    probe = _probe(own)
    graph = _graph(own, probe)
    names, sizes = {part: name for name, part in own.named_modules()}, places_of(own, probe)
    pieces = [*heads_of(own, saliency, sizes), *channels_of(own, graph, names, sizes, saliency)]
    if not pieces:
        raise _refused(own, "no layer of it can be made thinner alone")
    return Traced(own, graph, pieces)


def cut(whole: Traced, share: float) -> Network:
    """Take out what the plan for this share says, and make the network that is left as it is made when loaded."""
    going = whole.plan(share)
    if not going:  # layers keep multiples of 8 channels
        return copy.deepcopy(whole.network)
    memory: dict[int, Any] = {}
    network = copy.deepcopy(whole.network, memory)
    graph = _graph(network, _probe(network))
    pieces = {piece.layer: piece for piece in whole.pieces}
    for layer, rows in going.items():
        if pieces[layer].head:
            _without_heads(network.get_submodule(layer), rows)
        else:
            _without_channels(network, graph, pieces[layer], rows)
    return _rebuilt(whole.network, network)


@torch.no_grad()
def _without_heads(attention: Any, rows: Sequence[int]) -> None:
    kept = [head for head in range(attention.num_heads) if head not in set(rows)]
    wide = torch.arange(attention.num_heads * attention.head_dim).reshape(attention.num_heads, -1)[kept].flatten()
    threefold = torch.cat([wide + part * attention.attn_dim for part in range(3)])
    attention.qkv.weight = nn.Parameter(attention.qkv.weight[threefold])
    if attention.qkv.bias is not None:
        attention.qkv.bias = nn.Parameter(attention.qkv.bias[threefold])
    attention.proj.weight = nn.Parameter(attention.proj.weight[:, wide])
    attention.qkv.out_features, attention.proj.in_features = len(threefold), len(wide)
    attention.num_heads, attention.attn_dim = len(kept), len(wide)


def _without_channels(network: Network, graph: Any, piece: Piece, rows: Sequence[int]) -> None:
    layer = network.get_submodule(piece.layer)
    each = len(piece.worth)
    every = [row + part * each for part in range(piece.several) for row in rows]
    take = graph.get_pruner_of_module(layer).prune_out_channels
    group = graph.get_pruning_group(layer, take, every)
    if not graph.check_pruning_group(group):
        raise _refused(network, f"{piece.layer} would have no channel left")
    group.prune()


def _rebuilt(before: Network, after: Network) -> Network:
    """The same, made from its arguments; raises UsageError where that answers otherwise."""
    try:
        operation = narrowed_from(before.body, after.body)
        done = [*before.arguments.get("operations", ()), operation]
        made = type(before)(**{**before.arguments, "operations": done}).eval()
        made.load_state_dict(after.state_dict())
        probe = _probe(made)
        with torch.no_grad():
            expected, answered = after.eval()(probe), made(probe)
    except (ValueError, RuntimeError, TypeError, AttributeError, IndexError) as error:
        raise _refused(before, str(error).splitlines()[0]) from error
    if not bool((answered - expected).abs().max() <= CLOSE * (1 + expected.abs().max())):
        raise _refused(before, "made anew, it answers otherwise")
    return made


def _refused(network: Network, reason: str) -> UsageError:
    return UsageError(
        f"channels cannot be taken out of {network.arguments['name']}: {reason}. Use --method quantize, factorize or "
        "distill."
    )


def _probe(network: Network) -> Tensor:
    size = network.arguments["size"]
    return torch.rand((1, network.channels, size, size), generator=torch.Generator().manual_seed(0))


def _graph(network: Network, probe: Tensor) -> Any:
    """The graph of torch-pruning, by the gradients of an answer."""
    try:
        import torch_pruning
    except ImportError:
        raise MissingExtraError("torch-pruning", "compress") from None
    try:
        with torch.enable_grad():
            return torch_pruning.DependencyGraph().build_dependency(network, probe, verbose=False)
    except Exception as error:  # the library raises whatever a network drives it to
        raise _refused(network, f"what depends on what cannot be followed ({error})") from error
