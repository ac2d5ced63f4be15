"""Layers of a network as thin ones that give nearly the same: by the directions that their responses have most of.

Zhang et al. 2015, "Efficient and accurate approximations of nonlinear convolutional networks", for outputs; without
responses these are singular vectors. Filters also lose channels they read (Tucker-2, Kim et al. 2016).
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from linnaea.delivery.compression.pruning import require_prunable
from linnaea.errors import UsageError
from linnaea.models.network import Network
from linnaea.models.surgery.factoring import is_factorable, of_single_pixels

MULTIPLE = 8  # of ranks, by which processors compute
WORTH_IT = 0.8  # of the multiplications: a layer that would keep more stays as it is
Rank = int | tuple[int, int]


def require_factorable(model: nn.Module) -> Network:
    """The network, if any layer of it can be factored; raises UsageError with other ways where there is none."""
    network = require_prunable(model)
    if not list(_candidates(network)):
        raise UsageError(f"{network.arguments['name']} has no layer that can be factored: use --method prune.")
    return network


@torch.no_grad()
def responses_of(network: Network, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """The second moments (C, C) of what each layer that can be factored gives, by its name, over batches of pixels."""
    found: dict[str, Tensor] = {}

    def note(name: str, result: Tensor) -> None:
        rows = (result.movedim(1, -1) if result.ndim == 4 else result).flatten(0, -2)
        found[name] = found.get(name, torch.zeros(())) + rows.T @ rows

    hooks = [
        layer.register_forward_hook(lambda _, __, result, name=name: note(name, result))
        for name, layer in _candidates(network)
    ]
    training = network.training
    network.eval()
    for pixels in batches:
        network(pixels)
    for hook in hooks:
        hook.remove()
    network.train(training)
    return found


@torch.no_grad()
def factored(network: Network, energy: float, responses: Mapping[str, Tensor] | None = None) -> Network:
    """The network with layers of lower rank where that saves work, the share `energy` of their squares being kept.

    The squares are those of `responses`, or else of weights. It is to be trained again: it answers worse than before.
    Where no layer would save anything it is as it was.
    """
    if not 0 < energy < 1:
        raise UsageError(f"the energy to keep is {energy}; expected a number between 0 and 1.")
    known = responses or {}
    thin = {name: _factors(layer, known.get(name), energy) for name, layer in _candidates(network)}
    ranks = {name: rank for name, (rank, _) in thin.items() if rank is not None}
    if not ranks:
        return copy.deepcopy(network)
    own = {name: [rank] if isinstance(rank, int) else list(rank) for name, rank in ranks.items()}
    operation = {"kind": "factored", "ranks": {name: one[0] if len(one) == 1 else one for name, one in own.items()}}
    done = [*network.arguments.get("operations", ()), operation]
    made = Network(**{**network.arguments, "operations": done}).eval()
    made.load_state_dict(_state(network, {name: thin[name][1] for name in ranks}))
    try:
        made(torch.rand(1, network.channels, network.arguments["size"], network.arguments["size"]))
    except (AttributeError, RuntimeError, TypeError) as error:
        raise UsageError(
            f"{network.arguments['name']} reads layers of its own otherwise than by calling them, and cannot be "
            f"factored ({error}): use --method prune or quantize."
        ) from None
    return made


def _state(network: Network, factors: Mapping[str, Sequence[Tensor]]) -> dict[str, Tensor]:
    """The tensors of the factored network: a bias goes to the last of the thin layers."""
    state: dict[str, Tensor] = network.state_dict()
    for name, weights in factors.items():
        place = f"body.{name}"
        state.pop(f"{place}.weight")
        bias = state.pop(f"{place}.bias", None)
        state |= {f"{place}.{number}.weight": weight.contiguous() for number, weight in enumerate(weights)}
        if bias is not None:
            state[f"{place}.{len(weights) - 1}.bias"] = bias
    return state


def _candidates(network: Network) -> Iterator[tuple[str, Any]]:
    """Layers of the body that can be factored, with their names; those within torch's own attention are not called."""
    within = [name for name, part in network.body.named_modules() if isinstance(part, nn.MultiheadAttention)]
    for name, part in network.body.named_modules():
        if is_factorable(part) and not any(name.startswith(f"{attention}.") for attention in within):
            yield name, part


def _factors(layer: Any, moments: Tensor | None, energy: float) -> tuple[Rank | None, Sequence[Tensor]]:
    """The rank or ranks that keep so much, None where that saves no work, and the weights of the thin layers."""
    weight: Tensor = layer.weight.detach().double()
    after, before, *size = weight.shape
    rows = weight.flatten(1)
    out, rank = _directions(rows @ rows.T if moments is None else moments, energy)
    if of_single_pixels(layer):
        if rank * (after + before) > WORTH_IT * after * before:
            return None, ()
        return rank, [(out.T @ rows).reshape(rank, before, *size).float(), out.reshape(after, rank, *size).float()]
    columns = weight.transpose(0, 1).flatten(1)
    into, narrow = _directions(columns @ columns.T, energy)
    area = size[0] * size[1]
    if before * narrow + narrow * rank * area + rank * after > WORTH_IT * before * after * area:
        return None, ()
    core = torch.einsum("mchw,mb,ca->bahw", weight, out, into)
    return (narrow, rank), [into.T[:, :, None, None].float(), core.float(), out[:, :, None, None].float()]


def _directions(moments: Tensor, energy: float) -> tuple[Tensor, int]:
    """The leading eigenvectors (C, R) that keep so much of the trace, and their number, a multiple of 8."""
    values, vectors = torch.linalg.eigh(moments.double())
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    kept = torch.cumsum(values, dim=0) / values.sum().clamp(min=1e-30)
    least = int((kept < energy).sum()) + 1
    rank = min(len(values), -(-least // MULTIPLE) * MULTIPLE)
    return vectors[:, :rank], rank
