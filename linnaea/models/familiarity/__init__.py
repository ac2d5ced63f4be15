"""Familiarity: how strange an image is to a model, told from its features and logits inside the exported graph.

A member of the family subclasses `Familiarity`, says how it is fitted, and registers itself in `FAMILIARITIES`.
"""

from linnaea.models.familiarity.contract import FAMILIARITIES, Familiarity, suits
from linnaea.models.familiarity.known import Known

__all__ = ["FAMILIARITIES", "Familiarity", "Known", "suits"]
