"""Familiarity: how strange an image is to a model, told from its features and logits inside the exported graph.

A member of the family subclasses `Familiarity` and registers itself in `FAMILIARITIES`; `build_familiarity` makes one
from its saved description. What is fitted is fitted by `linnaea.evidence.openset`, under the same name.
"""

from linnaea.models.familiarity import blended, by_features, by_logits, combined
from linnaea.models.familiarity.contract import FAMILIARITIES, Familiarity, build_familiarity

__all__ = [
    "FAMILIARITIES",
    "Familiarity",
    "blended",
    "build_familiarity",
    "by_features",
    "by_logits",
    "combined",
]
