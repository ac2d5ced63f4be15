"""The parameters of rules: read from their signatures, checked before any rule runs."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from linnaea.errors import UsageError, suggest
from linnaea.evidence.gate.contract import RULES

WAIVED = "waived"
NUMBERS = {float: "a number", int: "a whole number"}


@dataclass(frozen=True)
class Parameter:
    """What a parameter means, in one sentence, and the least and the most that it may be."""

    help: str
    least: float = float("-inf")
    most: float = float("inf")


@dataclass(frozen=True)
class Setting:
    """A parameter of a rule by its name: its kind, its default and what it means."""

    name: str
    kind: Any
    default: Any
    parameter: Parameter

    def require(self, place: str, value: Any) -> Any:
        """The value as the rule takes it; raises UsageError where it is none that it may have."""
        if get_origin(self.kind) is not None and issubclass(get_origin(self.kind), Mapping):
            if not isinstance(value, Mapping):
                raise UsageError(f"{place} is {value!r}; expected a table, such as {{ sick = 0.95 }}.")
            return {str(key): self._number(f"{place}.{key}", one, float) for key, one in value.items()}
        if self.kind is bool:
            if not isinstance(value, bool):
                raise UsageError(f"{place} is {value!r}; expected true or false.")
            return value
        if self.kind in NUMBERS:
            return self._number(place, value, self.kind)
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise UsageError(f"{place} is {value!r}; expected a list of words.")
        return tuple(value)

    def _number(self, place: str, value: Any, kind: Any) -> Any:
        least, most = self.parameter.least, self.parameter.most
        fits = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
        if not fits or (kind is int and value != int(value)):
            raise UsageError(f"{place} is {value!r}; expected {NUMBERS[kind]}{self._range()}.")
        return kind(value)

    def _range(self) -> str:
        least, most = self.parameter.least, self.parameter.most
        if most == float("inf"):
            return "" if least == float("-inf") else f" of {least:g} or more"
        return f" from {least:g} to {most:g}"


def settings_of(rule: str) -> dict[str, Setting]:
    """The parameters of a rule by name, in the order of its signature."""
    found = {}
    for name, parameter in inspect.signature(RULES[rule]).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            kind, told = get_args(parameter.annotation)[:2]
            found[name] = Setting(name, kind, parameter.default, told)
    return found


def checked(tables: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """The tables of a rules file, by rule; raises UsageError, with a suggestion, for what no rule has.

    `where` names the file, or what else they came from. A rule is left out by `waived`, with the reason.
    """
    found: dict[str, dict[str, Any]] = {}
    for rule, table in tables.items():
        if rule not in RULES:
            raise UsageError(
                f"{where}: there is no rule {rule!r}: expected one of {', '.join(RULES)}.{suggest(rule, RULES)}"
            )
        if not isinstance(table, Mapping):
            raise UsageError(f"{where}: {rule} is {table!r}; expected a table [{rule}] of its parameters.")
        found[rule] = _of_rule(rule, table, where)
    return found


def _of_rule(rule: str, table: Mapping[str, Any], where: str) -> dict[str, Any]:
    known, values = settings_of(rule), {}
    for name, value in table.items():
        place = f"{where}: {rule}.{name}"
        if name == WAIVED:
            if not isinstance(value, str) or not value.strip():
                raise UsageError(f'{place} is {value!r}; expected the reason in words, such as "there is one site".')
            values[name] = value.strip()
        elif name in known:
            values[name] = known[name].require(place, value)
        else:
            names = [*known, WAIVED]
            raise UsageError(
                f"{where}: the rule {rule} has no parameter {name!r}: expected one of {', '.join(names)}."
                f"{suggest(name, names)}"
            )
    return values
