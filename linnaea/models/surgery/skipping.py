"""Blocks that are left out: what they were given goes on as it is."""

from collections.abc import Sequence

from torch import nn


def skip(body: nn.Module, blocks: Sequence[str]) -> None:
    """Put nothing in place of blocks of a body, by their names; raises ValueError for one that it does not have."""
    known = dict(body.named_modules())
    for name in blocks:
        if name not in known or not is_residual(known[name]):
            raise ValueError(f"{name} is no block that can be left out")
        body.set_submodule(name, nn.Identity())


def is_residual(part: nn.Module) -> bool:
    """Whether a part of a network of timm adds to what it is given, as it says itself."""
    drops = hasattr(part, "drop_path") or hasattr(part, "drop_path1")
    shortcut = getattr(part, "has_skip", True) and getattr(part, "downsample", None) is None
    return bool(drops and shortcut)
