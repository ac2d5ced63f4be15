"""What is known of a member without importing it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

from linnaea.errors import UsageError, suggest

Cost = Literal["seconds", "minutes", "hours"]
COSTS = (None, *get_args(Cost))
HOUSE = "linnaea"
OWN = ("title", "meaning", "cost", "order")  # the keywords of `register` that are no capabilities


@dataclass(frozen=True)
class About:
    """A member by name: where it is made, what it is called, what it does in one line, and what it can do.

    `cost` is the class of what it takes on a usual set of images, None where that is next to nothing. Members come in
    the order of `order` where they have one, then by cost and name. `origin` is "linnaea" or the name of a plugin.
    """

    name: str
    module: str
    title: str = ""
    meaning: str = ""
    cost: Cost | None = None
    order: float | None = None
    capabilities: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    origin: str = HOUSE

    @classmethod
    def given(cls, family: str, name: str, module: str, origin: str, keywords: Mapping[str, object]) -> "About":
        """From the keywords of `register`; raises UsageError for a value that is none of those expected."""
        title, meaning, cost, order = (keywords.get(key) for key in OWN)
        if cost not in COSTS:
            known = ", ".join(repr(one) for one in COSTS)
            raise UsageError(f"the {family} {name!r} has the cost {cost!r}: expected one of {known}.")
        if not (
            isinstance(title or "", str) and isinstance(meaning or "", str) and isinstance(order or 0, int | float)
        ):
            raise UsageError(f"the {family} {name!r} needs a title and a meaning as text, and its order as a number.")
        return cls(
            name=name,
            module=module,
            title=str(title or name.replace("_", " ")),
            meaning=str(meaning or ""),
            cost=cost,  # type: ignore[arg-type]  # one of COSTS
            order=order,  # type: ignore[arg-type]  # a number or None
            capabilities=MappingProxyType({key: value for key, value in keywords.items() if key not in OWN}),
            origin=origin,
        )

    @property
    def file(self) -> str:
        """The path of its module below the folder of its distribution."""
        return f"{self.module.replace('.', '/')}.py"

    @property
    def rank(self) -> tuple[float, int, str]:
        """What members are sorted by."""
        return (float("inf") if self.order is None else self.order, COSTS.index(self.cost), self.name)


def unknown(family: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that no member has, with the names there are."""
    known = list(known)
    return UsageError(f"unknown {family} {name!r}: expected one of {', '.join(known)}.{suggest(name, known)}")


def taken(noun: str, name: str, module: str) -> UsageError:
    """The error for a name given twice."""
    return UsageError(f"a {noun} named {name!r} is already registered in {module}: choose another name.")


def first_line(docstring: str | None) -> str:
    """The first paragraph of a docstring in one line."""
    return " ".join((docstring or "").split("\n\n")[0].split())


def warn(message: str) -> None:
    """Log a warning; what is left out must be said, but no start need wait for the library that does."""
    import logging

    logging.getLogger("linnaea").warning(message)
