"""Every member of every family, plugins included."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from linnaea.registry.about import HOUSE, About
from linnaea.registry.index import Family, families, family


@dataclass(frozen=True)
class Listing:
    """Families, each with its members: name, title, meaning, cost, and whose they are."""

    families: tuple[Family, ...]

    def __str__(self) -> str:
        return "\n\n".join("\n".join(_lines(one)) for one in self.families)

    def to_json(self) -> dict[str, Any]:
        """The members of each family by its noun."""
        return {one.noun: [_facts(told) for told in one.members.values()] for one in self.families}


def listing(noun: str | None = None) -> Listing:
    """All families, or the one of this noun; nothing is imported for it. Raises UsageError for an unknown family."""
    return Listing(tuple(families().values()) if noun is None else (family(noun),))


def _lines(family: Family) -> Iterator[str]:
    yield " ".join([f"{family.title} ({family.noun}).", family.use]).strip()
    members = family.members.values()
    name, title = (max((len(getattr(one, told)) for one in members), default=0) for told in ("name", "title"))
    for told in members:
        whose = "" if told.origin == HOUSE else f" From the plugin {told.origin}."
        cost = f" Takes {told.cost}." if told.cost else ""
        yield f"  {told.name:<{name}}  {told.title:<{title}}  {told.meaning}{cost}{whose}"


def _facts(told: About) -> dict[str, Any]:
    names = ("name", "title", "meaning", "cost", "module", "origin")
    return {**{name: getattr(told, name) for name in names}, "capabilities": dict(told.capabilities)}
