"""One way to extend: a member registered under its own name in its family's registry."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from linnaea.errors import UsageError, suggest

Member = TypeVar("Member")


class Registry(Generic[Member]):
    """The members of one family by name, in the order in which they were registered.

    `family` is the singular noun used in error messages ("metric", "rung", ...).
    """

    def __init__(self, family: str) -> None:
        self.family = family
        self._members: dict[str, Member] = {}

    def register(self, name: str) -> Callable[[Member], Member]:
        """Return a decorator that registers its argument as `name`; a name is given once."""

        def add(member: Member) -> Member:
            if name in self._members:
                raise UsageError(f"a {self.family} named {name!r} is already registered: choose another name.")
            self._members[name] = member
            return member

        return add

    def __getitem__(self, name: str) -> Member:
        if name not in self._members:
            known = ", ".join(self._members)
            raise UsageError(f"unknown {self.family} {name!r}: expected one of {known}.{suggest(name, self._members)}")
        return self._members[name]

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def items(self) -> Iterator[tuple[str, Member]]:
        """Names with their members, in order of registration."""
        return iter(self._members.items())
