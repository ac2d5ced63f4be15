"""What sees: every model maps pixels in [0, 1], shape (N, 3, H, W), to logits (N, K).

Normalisation and any resizing lie inside the model, so attacks, explanations and exports all speak pixels. A member
of the family subclasses `Model` and registers itself in `MODELS`; `build` makes one from its saved description.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from linnaea.errors import BundleError
from linnaea.models import compact, hog, majority, network
from linnaea.models.model import MODELS, Model
from linnaea.runtime.arguments import require_types

__all__ = ["MODELS", "Model", "build", "compact", "fill", "hog", "majority", "network"]


def build(kind: str, arguments: Mapping[str, Any]) -> Model:
    """Make an untrained model of a registered kind; raises BundleError when the arguments do not fit it."""
    try:
        require_types(MODELS[kind], arguments)
        model = MODELS[kind](**arguments)
    except Exception as error:
        raise BundleError(f"cannot build the model {kind!r} with {dict(arguments)}: {error}") from error
    return model


def fill(module: nn.Module, name: str, tensors: Mapping[str, Tensor]) -> None:
    """Fill a module with the tensors whose names begin with its own and a slash; raises BundleError if they differ."""
    state = {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}
    own = module.state_dict()
    for key in own.keys() | state.keys():
        found, expected = (tuple(there[key].shape) if key in there else None for there in (state, own))
        if found != expected:
            raise BundleError(
                f"the weights of {name}/{key} have the shape {found}; expected {expected}, as the description says."
            )
    module.load_state_dict(state)
