"""Attention followed from the tokens that are read back to the places of the image."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from linnaea.evidence.explanation.tokens import places_in

FUSED, SEPARATE, WHOLE = "scaled_dot_product_attention", "softmax", "multi_head_attention_forward"


class Recording(TorchFunctionMode):
    """Attention (N, heads, L, M) of everything that is computed within, in order, however the network computes it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options, name = kwargs or {}, getattr(func, "__name__", "")
        if name == WHOLE:
            output, weights = func(*args, **{**options, "need_weights": True, "average_attn_weights": False})
            self.found.append(weights.detach())
            return output, weights
        output = func(*args, **options)
        if name == FUSED:
            self.found.append(_weights(*args, **options).detach())
        elif name == SEPARATE and isinstance(output, Tensor) and output.ndim == 4:
            self.found.append(output.detach())
        return output


def _weights(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **options: Any) -> Tensor:
    """What fused attention multiplies the values with (N, heads, L, M)."""
    scale = options.get("scale") or query.shape[-1] ** -0.5
    scores = query @ key.transpose(-2, -1) * scale
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    weights: Tensor = scores.softmax(dim=-1)
    return weights


@dataclass(frozen=True)
class Attending:
    """How attention is followed: `length` tokens, `prefix` before those of the places, and those that are `read`."""

    length: int
    prefix: int
    grid: int
    read: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.grid} x {self.grid} positions, {len(self.read)} of {self.length} tokens are read"

    def rollout(self, found: list[Tensor]) -> Tensor:
        """The maps (N, H, H) of attention matrices in order: (A + I) / 2 of each layer, one after the other."""
        own = [matrix for matrix in found if matrix.shape[-2:] == (self.length, self.length)]
        identity = torch.eye(self.length, device=own[0].device)
        total = identity.expand(len(own[0]), -1, -1)
        for matrix in own:
            total = (matrix.float().mean(dim=1) + identity) / 2 @ total
        rows = total[:, list(self.read)].mean(dim=1)[:, self.prefix :]
        return rows.reshape(len(rows), self.grid, self.grid)


def attending(
    found: list[Tensor], images: int, number: Tensor, outputs: Mapping[str, Tensor], prefix: int
) -> Attending | None:
    """How the attention of a trial is followed, or None where it lies not between tokens of the whole image.

    `number` is made of the features, by whose gradient the tokens are known that are read of the last output.
    """
    shapes = {tuple(matrix.shape[-2:]) for matrix in found if matrix.shape[-2] > 1}  # one row is pooling
    if len(shapes) != 1 or any(matrix.ndim != 4 or len(matrix) != images for matrix in found):
        return None
    length, keys = shapes.pop()
    places = places_in(length, prefix)
    own = [output for output in outputs.values() if output.ndim == 3 and output.shape[1] == length]
    if length != keys or places is None or not own:  # of as many, as channels are where they attend to each other
        return None
    before, grid = places
    return Attending(length, before, grid, _read(number, own) or tuple(range(before, length)))


def _read(number: Tensor, outputs: list[Tensor]) -> tuple[int, ...]:
    """The tokens (N, L, C) that reach the number, of the last output of which any does."""
    for output in reversed(outputs):
        if output.requires_grad:
            (gradient,) = torch.autograd.grad(number, [output], retain_graph=True, allow_unused=True)
            if gradient is not None:
                reached = gradient.abs().sum(dim=(0, 2)) > 0
                return tuple(torch.nonzero(reached)[:, 0].tolist())
    return ()
