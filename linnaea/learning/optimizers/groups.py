"""Which parameters decay, and how fast each learns."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from linnaea.errors import UsageError
from linnaea.models.model import Model
from linnaea.models.network import Network


def parameter_groups(model: nn.Module, decay: float, layer_decay: float | None = None) -> list[dict[str, Any]]:
    """The parameters to be trained in groups, each with `params`, `weight_decay`, `rate_scale` and `orthogonal`.

    Vectors (norms, biases, tokens) and what the network itself lists do not decay. With `layer_decay` the last layer of
    the body learns as fast as the head, and each before it at `layer_decay` times the rate of the next (Clark et al.
    2020; Bao et al. 2022).
    """
    spared = _spared(model)
    of_objective = not isinstance(model, Model)  # what it has beside the network, which learns as fast as the head
    scales = {} if layer_decay is None or of_objective else _scales(model, layer_decay)
    groups: dict[tuple[float, bool, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decays = parameter.ndim > 1 and name not in spared
        orthogonal = decays and not name.startswith("classifier.")
        scale = scales.get(name, 1.0)
        settings = {"weight_decay": decay if decays else 0.0, "rate_scale": scale, "orthogonal": orthogonal}
        groups.setdefault((scale, decays, orthogonal), {"params": [], **settings})["params"].append(parameter)
    return list(groups.values())


def layers_of(model: nn.Module, *, coarse: bool) -> dict[str, int]:
    """The layer of each parameter of a network's body, from 0 up, by name; `coarse`: its stages.

    Raises UsageError for a network of which timm does not say what its layers are.
    """
    from timm.models import group_parameters

    if not isinstance(model, Network) or not hasattr(model.body, "group_matcher"):
        kind = model.arguments["name"] if isinstance(model, Network) else type(model).__name__
        raise UsageError(f"nobody says what the layers of {kind} are: leave out --layer-decay and --unfreeze.")
    body: Any = model.body
    found: Mapping[str, int] = group_parameters(body, body.group_matcher(coarse=coarse), reverse=True)
    order = {layer: number for number, layer in enumerate(sorted(set(found.values())))}
    return {f"body.{name}": order[layer] for name, layer in found.items()}


def _scales(model: nn.Module, layer_decay: float) -> dict[str, float]:
    layers = layers_of(model, coarse=False)
    last = max(layers.values())
    return {name: layer_decay ** (last - layer) for name, layer in layers.items()}


def _spared(model: nn.Module) -> set[str]:
    """What the network itself says must not decay, such as embeddings of positions."""
    body: Any = model.body if isinstance(model, Network) else None
    return {f"body.{name}" for name in body.no_weight_decay()} if hasattr(body, "no_weight_decay") else set()
