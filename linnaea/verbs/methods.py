"""`methods`: all that can be chosen by name."""

from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import Option
from linnaea.verbs.contract import VERBS

if TYPE_CHECKING:
    from linnaea.registry.overview import Listing


def known(_: str, given: Any) -> None:
    """Raise UsageError for an unknown family."""
    from linnaea.registry import family

    family(given)


@VERBS.register(
    "methods",
    title="Methods",
    meaning="List what can be chosen by name, family by family, with what plugins add.",
    order=71,
)
def methods(
    family: Annotated[str | None, Option("Family to list, such as loss. Default: all.", known)] = None,
) -> "Listing":
    """Every member of every family, or of one: its name, its title, what it does, what it takes, and whose it is."""
    from linnaea.registry import listing

    return listing(family)
