"""A part of a classifier that is kept as its kind, the arguments that build it anew, and tensors."""

from collections.abc import Mapping
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from linnaea.errors import BundleError
from linnaea.registry import Registry
from linnaea.runtime.arguments import require_all, require_types

DESCRIBED = {"kind", "arguments"}


class Part(nn.Module):
    """`kind` is its name in its family's registry, `arguments` are of JSON types, what was fitted lies in tensors."""

    kind: str

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.arguments = arguments

    def describe(self) -> dict[str, Any]:
        """What `build_part` builds it from."""
        return {"kind": self.kind, "arguments": self.arguments}

    @torch.no_grad()
    def filled(self, **values: Any) -> Self:
        """Itself, with arrays copied into the buffers of these names."""
        buffers = dict(self.named_buffers())
        for name, value in values.items():
            buffers[name].copy_(torch.from_numpy(np.array(value, dtype=np.float32)))
        return self


Kind = TypeVar("Kind", bound=Part)


def build_part(registry: Registry[type[Kind]], description: Any, *, complete: bool = True) -> Kind:
    """Make an unfitted part from what `describe` said; raises BundleError when it says something else.

    `complete` says that no argument may be left to its default, which may be another one day.
    """
    described = isinstance(description, Mapping) and set(description) == DESCRIBED
    if not described or not isinstance(description["arguments"], Mapping):
        raise BundleError(f"the {registry.family} is described as {description!r}; expected its kind and arguments.")
    kind, arguments = description["kind"], description["arguments"]
    try:
        maker = registry[kind]
        require_types(maker, arguments)
        part = maker(**arguments)
        require_all(part.arguments, arguments if complete else part.arguments)
    except Exception as error:
        raise BundleError(f"cannot build the {registry.family} {kind!r} with {dict(arguments)}: {error}") from error
    return part


def fill(part: nn.Module, name: str, tensors: Mapping[str, Tensor]) -> None:
    """Fill a part with the tensors whose names begin with its own and a slash; raises BundleError if they differ."""
    state = {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}
    own = part.state_dict()
    for key in own.keys() | state.keys():
        found, expected = (tuple(there[key].shape) if key in there else None for there in (state, own))
        if found != expected:
            raise BundleError(
                f"the weights of {name}/{key} have the shape {found}; expected {expected}, as the description says."
            )
    part.load_state_dict(state)
