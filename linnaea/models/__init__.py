"""What sees: every model maps pixels in [0, 1], shape (N, 3, H, W), to logits (N, K).

Normalisation and any resizing lie inside the model, so attacks, explanations and exports all speak pixels. A member
of the family subclasses `Model` and registers itself in `MODELS`; `build` makes one from its saved description.
"""

from collections.abc import Mapping
from typing import Any

from linnaea.models import compact, hog, majority, network
from linnaea.models.model import MODELS, Model
from linnaea.models.part import build_part

__all__ = ["MODELS", "Model", "build", "compact", "hog", "majority", "network"]


def build(kind: str, arguments: Mapping[str, Any]) -> Model:
    """Make an untrained model of a registered kind; raises BundleError when the arguments do not fit it."""
    return build_part(MODELS, {"kind": kind, "arguments": arguments}, complete=False)
