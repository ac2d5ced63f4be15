"""How much the loss would change without a channel or a head: first-order Taylor terms, squared over batches.

Molchanov et al. 2019, "Importance estimation for neural network pruning".
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from linnaea.models.network import Network

Loss = Callable[[Tensor, Tensor], Tensor]
Batches = Iterable[tuple[Tensor, Tensor]]
GATED = (nn.Conv2d, nn.Linear, _BatchNorm, nn.LayerNorm, nn.GroupNorm)


def saliency_of(network: Network, batches: Batches, loss: Loss) -> dict[str, Tensor]:
    """The mean squared Taylor term of each output (C,) of each layer, by its name, and of each input, by `name:in`.

    `batches` are pixels (B, C, H, W) and targets, `loss` maps logits and targets to a scalar. The network answers as in
    evaluation, and its gradients are left empty.
    """
    found: dict[str, Tensor] = defaultdict(lambda: torch.zeros(()))
    training, frozen = network.training, [one for one in network.parameters() if not one.requires_grad]
    network.eval().requires_grad_(True)
    count = 0
    for pixels, targets in batches:
        network.zero_grad(set_to_none=True)
        torch.autograd.backward(loss(network(pixels), targets))
        for name, terms in _terms(network):
            found[name] = found[name] + terms.detach().double() ** 2
        count += 1
    network.zero_grad(set_to_none=True)
    for parameter in frozen:
        parameter.requires_grad_(False)
    network.train(training)
    return {name: total / max(1, count) for name, total in found.items()}


def _terms(network: nn.Module) -> Iterable[tuple[str, Tensor]]:
    """Weight times gradient, summed over all that belongs to an output or an input of a layer."""
    for name, layer in network.named_modules():
        own: Any = layer
        if not isinstance(layer, GATED) or own.weight is None or own.weight.grad is None:
            continue
        terms = own.weight * own.weight.grad
        biased = own.bias is not None and own.bias.grad is not None
        yield name, terms.flatten(1).sum(dim=1) if terms.ndim > 1 else terms
        if terms.ndim > 1:
            yield f"{name}:in", terms.transpose(0, 1).flatten(1).sum(dim=1)
        elif biased:
            yield f"{name}:shifted", terms + own.bias * own.bias.grad


def term(saliency: Mapping[str, Tensor], name: str) -> Tensor:
    """That of the outputs of a layer; of a normalisation, scale and shift go together."""
    return saliency.get(f"{name}:shifted", saliency[name])
