"""Families and their members: the one way to extend.

A family is a `Registry`, made in the family's `contract.py` with the package its members lie in:
`LOSSES: Registry[Loss] = Registry("loss", "linnaea.learning.losses")`. A member is a module of that package, or of a
plugin, that says `LOSSES.register("focal", title="Focal loss", meaning="...")` at its top level; there is no second
list. What is known of members is read from the source text, so that neither a listing nor the answer to a mistyped name
imports any of them: `family("loss")` does that even without the contract. `LOSSES["focal"]` imports that one module.
"""

import importlib
from typing import TYPE_CHECKING, Any

from linnaea.registry.about import About, Cost
from linnaea.registry.registry import Registry

if TYPE_CHECKING:
    from linnaea.registry.index import Family, families, family
    from linnaea.registry.overview import listing

_HOMES = {
    **dict.fromkeys(("Family", "families", "family"), "linnaea.registry.index"),
    "listing": "linnaea.registry.overview",
}

__all__ = ["About", "Cost", "Family", "Registry", "families", "family", "listing"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:  # every start of the command line is faster without the others
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
