"""Low-rank adapters: a transformer learns by small matrices beside its own, which stay as they are.

Hu et al. 2021, "LoRA: low-rank adaptation of large language models". The adapters are peft's while it learns; then they
are added to the weights, and the network is one like any other.
"""

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from linnaea.errors import MissingExtraError, UsageError
from linnaea.models.bodies import create_body
from linnaea.models.network import Network

SCALE = 2  # times the rank: the usual `lora_alpha`


def require_adaptable(name: str, size: int, arguments: Mapping[str, Any]) -> None:
    """Raise UsageError for a network without linear layers, MissingExtraError where peft is not installed."""
    if importlib.util.find_spec("peft") is None:
        raise MissingExtraError("peft", "lora")
    with torch.device("meta"):
        body = create_body(name, size, arguments)
    if not list(_linear_layers(body)):
        raise UsageError(f"{name} has no linear layers to adapt: leave out --lora, or name a transformer.")


def adapt(network: Network, rank: int, seed: int) -> str:
    """Let only adapters of this rank learn beside the body's linear layers, and the head; says so.

    The answers are the same at first; the network is one that `require_adaptable` let through.
    """
    from peft import LoraConfig, inject_adapter_in_model

    places = list(_linear_layers(network.body))
    whole = sum(parameter.numel() for parameter in network.body.parameters())
    network.body.requires_grad_(False)
    torch.manual_seed(seed)
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=SCALE * rank, target_modules=places), network.body)
    own = sum(parameter.numel() for parameter in network.body.parameters() if parameter.requires_grad)
    return f"{len(places)} linear layers learn by adapters of rank {rank}: {own:,} numbers in place of {whole:,}."


@torch.no_grad()
def merge(network: Network) -> None:
    """Add the adapters to the weights they stand beside, and let everything learn again."""
    from peft.tuners.lora import LoraLayer

    adapted = [(name, part) for name, part in network.body.named_modules() if isinstance(part, LoraLayer)]
    for name, part in adapted:
        assert isinstance(part, nn.Module), "an adapted layer is one"
        part.merge()
        network.body.set_submodule(name, part.get_base_layer())
    network.body.requires_grad_(True)


def _linear_layers(body: nn.Module) -> Iterator[str]:
    """Their names; those inside of torch's own attention are read and not called, so that no adapter would matter."""
    within = [name for name, part in body.named_modules() if isinstance(part, nn.MultiheadAttention)]
    for name, part in body.named_modules():
        if type(part) is nn.Linear and not any(name.startswith(f"{attention}.") for attention in within):
            yield name
