"""An aim with its amounts."""

from dataclasses import dataclass

from linnaea.errors import UsageError
from linnaea.evidence.aims.contract import AIMS, Aim


@dataclass(frozen=True)
class Goal:
    """An aim with its amounts, as `recall=0.95` names it."""

    text: str
    aim: Aim
    amounts: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> "Goal":
        """Read a name of `AIMS`, or `name=amount`; raises UsageError for an unknown name or an amount that is none."""
        name, equals, given = (part.strip() for part in text.partition("="))
        aim = AIMS[name]
        if aim.amounts is None:
            if equals:
                raise UsageError(f"the aim {name!r} takes no number, but {text!r} was given: use {name!r}.")
            return cls(name, aim, ())
        if not given:
            raise UsageError(f"the aim {name!r} needs a number, such as {aim.example!r}.")
        try:
            return cls(f"{name}={given}", aim, aim.amounts(given))
        except ValueError as error:
            raise UsageError(
                f"the aim {text!r} carries {given!r}; expected {error}, such as {aim.example!r}."
            ) from None
