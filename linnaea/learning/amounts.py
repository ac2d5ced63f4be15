"""Names that may carry a number: `rotation` turns images as is usual, `rotation:30` by up to 30 degrees."""

from dataclasses import dataclass
from typing import Any, TypeVar

from linnaea.errors import UsageError
from linnaea.registry import About, Registry

Member = TypeVar("Member")


@dataclass(frozen=True)
class Amount:
    """The number that may follow a name: what it means, its usual value and its range, both ends included."""

    meaning: str
    usual: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.meaning}, {self.usual:g} unless given, {self.least:g} to {self.most:g}"


def amount_of(told: About) -> Amount | None:
    """The number that may follow a member's name, as its capability `amount` says; None where none may."""
    amount: Any = told.capabilities.get("amount")
    return None if amount is None else Amount(*amount)


def look_up(registry: Registry[Member], name: str) -> tuple[Member, float | None]:
    """The member that `name` or `name:number` stands for, and the number: the usual one where none is given.

    None for a member that takes no number. Raises UsageError for an unknown name, and for a number that is none, out of
    range or not wanted.
    """
    plain = name.partition(":")[0]
    number = number_after(name, registry.family, amount_of(registry.about(plain)))
    return registry[plain], number


def number_after(name: str, family: str, amount: Amount | None) -> float | None:
    """The number after the colon in the name of a member of this family that takes `amount`, or the usual one.

    Raises UsageError as `look_up` does.
    """
    plain, colon, given = name.partition(":")
    if amount is None:
        if colon:
            raise UsageError(f"the {family} {plain!r} takes no number, but {name!r} was given: use {plain!r}.")
        return None
    return _number(name, given, amount) if colon else amount.usual


def _number(name: str, given: str, amount: Amount) -> float:
    try:
        number = float(given)
    except ValueError:
        number = float("nan")
    if not amount.least <= number <= amount.most:
        plain = name.partition(":")[0]
        raise UsageError(
            f"{name!r} has the value {given!r}; expected {amount.meaning}, a number from {amount.least:g} to "
            f"{amount.most:g}, such as {plain}:{amount.usual:g}."
        )
    return number
