"""Families and their members: the one way to extend.

A family is a `Registry`, made in the family's `contract.py` with the package its members lie in:
`LOSSES: Registry[Loss] = Registry("loss", "linnaea.learning.losses")`. A member is a module of that package, or of a
plugin, that says `LOSSES.register("focal", title="Focal loss", meaning="...")` at its top level; there is no second
list. What is known of members is read from the source text, so that neither a listing nor the answer to a mistyped name
imports any of them: `family("loss")` does that even without the contract. `LOSSES["focal"]` imports that one module.
"""

from linnaea.registry.about import About, Cost
from linnaea.registry.families import Family, families, family
from linnaea.registry.listing import listing
from linnaea.registry.registry import Registry

__all__ = ["About", "Cost", "Family", "Registry", "families", "family", "listing"]
