"""Blocks of a network, in the order in which they can be spared, and the network at another size of images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from linnaea.models.network import Network
from linnaea.models.surgery.skipping import is_residual


@torch.no_grad()
def spared(network: Network, pixels: Tensor) -> list[str]:
    """The names of the blocks that may be left out, what changes least first.

    A block's change is the mean length of what it adds, in terms of what it was given, on pixels (N, C, H, W).
    """
    changes: dict[str, float] = {}

    def note(name: str, given: tuple[Tensor, ...], result: object) -> None:
        if isinstance(result, Tensor) and result.shape == given[0].shape:
            added, before = (result - given[0]).flatten(1).norm(dim=1), given[0].flatten(1).norm(dim=1)
            changes[name] = float((added / before.clamp(min=1e-12)).mean())

    blocks = [(name, part) for name, part in network.body.named_modules() if is_residual(part)]
    hooks = [
        part.register_forward_hook(lambda _, given, result, name=name: note(name, given, result))
        for name, part in blocks
    ]
    network.eval()(pixels)
    for hook in hooks:
        hook.remove()
    return sorted(changes, key=lambda name: changes[name])


def without(network: Network, blocks: Sequence[str]) -> Network:
    """The network without these blocks, with its weights."""
    if not blocks:
        return network
    done = [*network.arguments.get("operations", ()), {"kind": "skipped", "blocks": list(blocks)}]
    return _filled(Network(**{**network.arguments, "operations": done}), network)


def at_size(network: Network, size: int) -> Network | None:
    """The network for images of this size, with its weights; None where these belong to the size that it has."""
    if size == network.arguments["size"]:
        return network
    if network.side != network.arguments["size"]:
        return None
    try:
        return _filled(Network(**{**network.arguments, "size": size}), network)
    except (RuntimeError, AssertionError, ValueError):  # what networks raise on sizes they do not take
        return None


def _filled(made: Network, network: nn.Module) -> Network:
    state: dict[str, Tensor] = network.state_dict()
    own = made.state_dict()
    if any(name not in state or state[name].shape != own[name].shape for name in own):
        raise ValueError("the weights do not fit")
    made.load_state_dict({name: state[name] for name in own})
    return made.eval()
