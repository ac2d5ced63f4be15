"""The smallest weights set to zero: nothing gets faster, and only a compressed file gets smaller."""

import zlib

import torch
from torch import Tensor, nn

from linnaea.errors import UsageError

LEVEL = 6  # of compression: that of zip by default


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Matrices and filters by name: what may be set to zero."""
    return {name: weight for name, weight in model.named_parameters() if weight.ndim > 1}


@torch.no_grad()
def set_smallest_to_zero(model: nn.Module, share: float) -> float:
    """Set this share of all weights to zero, in place, the smallest by the scale of their layer; returns that of zeros.

    Sizes are compared across layers by the layer's root mean square, or else thin layers would vanish (LAMP's reason,
    Lee et al. 2021).
    """
    if not 0 < share < 1:
        raise UsageError(f"the share of weights to set to zero is {share}; expected a number between 0 and 1.")
    weights = weights_of(model)
    sizes = {name: weight.abs() / weight.square().mean().sqrt().clamp(min=1e-12) for name, weight in weights.items()}
    together = torch.cat([size.flatten() for size in sizes.values()])
    limit = together.kthvalue(max(1, round(share * len(together)))).values
    for name, weight in weights.items():
        weight[sizes[name] <= limit] = 0
    return share_of_zeros(model)


def share_of_zeros(model: nn.Module) -> float:
    """Of the weights of matrices and filters, 0 to 1."""
    weights = list(weights_of(model).values())
    return sum(int((weight == 0).sum()) for weight in weights) / max(1, sum(weight.numel() for weight in weights))


def compressed_megabytes(model: nn.Module) -> float:
    """The tensors of a model in 10^6 bytes as zip would have them."""
    state: dict[str, Tensor] = model.state_dict()
    packed = (zlib.compress(tensor.detach().cpu().numpy().tobytes(), LEVEL) for tensor in state.values())
    return sum(map(len, packed)) / 1e6
