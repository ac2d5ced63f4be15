"""`methods`: all that can be chosen by name."""

from typing import Annotated, Any

from linnaea.options import Option
from linnaea.registry import family
from linnaea.registry.listing import Listing, listing
from linnaea.verbs.contract import VERBS


def known(_: str, given: Any) -> None:
    """Raise UsageError for an unknown family."""
    family(given)


@VERBS.register(
    "methods",
    title="Methods",
    meaning="List what can be chosen by name, family by family, with what plugins add.",
    order=71,
)
def methods(
    family: Annotated[str | None, Option("Family to list, such as loss. Default: all.", known)] = None,
) -> Listing:
    """Every member of every family, or of one: its name, its title, what it does, what it takes, and whose it is."""
    return listing(family)
