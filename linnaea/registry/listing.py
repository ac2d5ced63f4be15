"""Every member of every family, plugins included, as text."""

from collections.abc import Iterator

from linnaea.registry.about import HOUSE
from linnaea.registry.families import Family, families, family


def listing(noun: str | None = None) -> str:
    """The families with the members of each, or those of one family: name, title, meaning, cost, and whose they are.

    Nothing is imported for it. Raises UsageError for an unknown family.
    """
    chosen = families().values() if noun is None else [family(noun)]
    return "\n\n".join("\n".join(_lines(one)) for one in chosen)


def _lines(family: Family) -> Iterator[str]:
    yield " ".join([f"{family.title} ({family.noun}).", family.use]).strip()
    members = family.members.values()
    widths = [
        max((len(text) for text in column), default=0)
        for column in ([one.name for one in members], [one.title for one in members])
    ]
    for told in members:
        whose = "" if told.origin == HOUSE else f" From the plugin {told.origin}."
        cost = f" Takes {told.cost}." if told.cost else ""
        yield f"  {told.name:<{widths[0]}}  {told.title:<{widths[1]}}  {told.meaning}{cost}{whose}"
