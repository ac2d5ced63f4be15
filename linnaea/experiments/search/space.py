"""The options that are searched: ranges and choices, refused before any work where they are impossible."""

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args

from linnaea.errors import UsageError, suggest
from linnaea.options import Decision, Keyword, Learning, Machine, Options, Preparation
from linnaea.options.option import changed, keywords_in

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

POINTS = 5  # of a range without steps, in a grid
EXAMPLE = "{low = 0.001, high = 0.1, log = true}"
REASONS = {
    "seed": "a good seed is luck, not a choice: `linnaea train --seeds` tells how much it matters",
    "model_args": "search `dropout` and `drop_path`, or give it to tune itself",
    "find_lr": "search `learning_rate` instead",
}
Value = bool | int | float | str


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; by their logarithms, in steps, or `whole` ones alone."""

    name: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    def suggested(self, trial: "BaseTrial") -> Value:
        """One of them, as a trial suggests it."""
        if self.whole:
            return trial.suggest_int(self.name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)

    @property
    def points(self) -> list[Value]:
        """Those of a grid: all steps, else five that are equally far apart."""
        if self.step is not None:
            steps = math.floor((self.high - self.low) / self.step + 1e-9)
            return [self._number(self.low + number * self.step) for number in range(steps + 1)]
        ends = [math.log(self.low), math.log(self.high)] if self.log else [self.low, self.high]
        shares = [number / (POINTS - 1) for number in range(POINTS)]
        found = [ends[0] * (1 - share) + ends[1] * share for share in shares]
        inner = [math.exp(value) for value in found[1:-1]] if self.log else found[1:-1]
        return list(dict.fromkeys(self._number(value) for value in [self.low, *inner, self.high]))

    def _number(self, value: float) -> Value:
        return round(value) if self.whole else float(value)

    @property
    def distribution(self) -> Any:
        """As optuna has it."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.whole:
            return IntDistribution(int(self.low), int(self.high), self.log, int(self.step or 1))
        return FloatDistribution(self.low, self.high, self.log, self.step)

    def to_json(self) -> dict[str, Any]:
        """As a file has it."""
        more = {"log": True} if self.log else {}
        return {"low": self.low, "high": self.high, **more, **({"step": self.step} if self.step is not None else {})}


@dataclass(frozen=True)
class Choices:
    """Some values of an option; a list is written with commas."""

    name: str
    points: Sequence[Value]

    def suggested(self, trial: "BaseTrial") -> Value:
        """One of them, as a trial suggests it."""
        chosen: Any = trial.suggest_categorical(self.name, list(self.points))
        value: Value = chosen
        return value

    @property
    def distribution(self) -> Any:
        """As optuna has it."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(list(self.points))

    def to_json(self) -> list[Value]:
        """As a file has it."""
        return list(self.points)


@dataclass(frozen=True)
class Space:
    """What is searched, by name."""

    parameters: tuple[Range | Choices, ...]

    @property
    def names(self) -> list[str]:
        """The options that are searched."""
        return [parameter.name for parameter in self.parameters]

    @property
    def distributions(self) -> dict[str, Any]:
        """As optuna has them."""
        return {parameter.name: parameter.distribution for parameter in self.parameters}

    def suggested(self, trial: "BaseTrial") -> dict[str, Value]:
        """A value for each option, as a trial suggests them."""
        return {parameter.name: parameter.suggested(trial) for parameter in self.parameters}

    @property
    def grid(self) -> list[dict[str, Value]]:
        """Every combination of the points of all parameters."""
        return [dict(zip(self.names, point, strict=True)) for point in product(*(p.points for p in self.parameters))]

    def applied(self, learning: Learning, values: Mapping[str, Value]) -> Learning:
        """The options of learning with these values; raises UsageError for what does not go together."""
        return changed(learning, {name: _read(KEYWORDS[name], value) for name, value in values.items()})

    def extremes(self) -> Iterator[tuple[str, Value]]:
        """Each choice of each option, and both ends of each range."""
        for parameter in self.parameters:
            ends = parameter.points if isinstance(parameter, Choices) else (parameter.points[0], parameter.points[-1])
            yield from ((parameter.name, value) for value in ends)

    def without(self, names: Sequence[str]) -> "Space":
        """The space less these options."""
        return Space(tuple(parameter for parameter in self.parameters if parameter.name not in names))

    def to_json(self) -> dict[str, Any]:
        """As a file has it."""
        return {parameter.name: parameter.to_json() for parameter in self.parameters}


KEYWORDS = {keyword.name: keyword for keyword in keywords_in(Learning)}


def read_space(given: str | Path | Mapping[str, Any]) -> Space:
    """The space in a TOML file or a mapping; raises UsageError for what is none, saying where and how to mend it."""
    where = "the space" if isinstance(given, Mapping) else str(given)
    content = given if isinstance(given, Mapping) else _contents(Path(given))
    if not content:
        raise UsageError(f"{where} names no option: expected lines such as learning_rate = {EXAMPLE}.")
    return Space(tuple(_parameter(where, name, value) for name, value in content.items()))


def _contents(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise UsageError(f"the search space {file} cannot be read: {reason}.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the search space {file} is not TOML: {error}.") from None


def _parameter(where: str, name: str, given: Any) -> Range | Choices:
    _require_searchable(where, name)
    told = f"{where}: {name}"
    if isinstance(given, Mapping):
        return _range(told, KEYWORDS[name], given)
    if isinstance(given, list | tuple):
        return _choices(told, KEYWORDS[name], given)
    raise UsageError(
        f"{told} is {given!r}, a single value: expected a range such as {EXAMPLE} or a list of choices. What is not "
        f"searched is an option of tune itself: --{name.replace('_', '-')}."
    )


def _require_searchable(where: str, name: str) -> None:
    others = {one.name for group in (Preparation, Decision, Machine) for one in keywords_in(group)}
    if name in REASONS:
        raise UsageError(f"{where}: {name} cannot be searched: {REASONS[name]}.")
    if name in others:
        raise UsageError(
            f"{where}: {name} cannot be searched, as it does not say how to learn: give it to tune itself."
        )
    if name not in KEYWORDS:
        raise UsageError(
            f"{where}: there is no option {name!r} of learning: expected some of {', '.join(KEYWORDS)}."
            f"{suggest(name, KEYWORDS)}"
        )


def _range(told: str, keyword: Keyword, given: Mapping[str, Any]) -> Range:
    kind = _kind(keyword)
    if kind not in (int, float):
        raise UsageError(
            f'{told} is a range, and the option takes words: expected a list of choices, such as ["a", "b"].'
        )
    unknown = next((key for key in given if key not in ("low", "high", "log", "step")), None)
    if unknown is not None:
        known = ("low", "high", "log", "step")
        raise UsageError(f"{told} has no {unknown!r}: expected {', '.join(known)}.{suggest(str(unknown), known)}")
    if "low" not in given or "high" not in given:
        raise UsageError(f"{told} is {dict(given)}: expected both low and high, such as {EXAMPLE}.")
    low, high, step, log = given["low"], given["high"], given.get("step"), given.get("log", False)
    for key, value in (("low", low), ("high", high), *((("step", step),) if step is not None else ())):
        _require_number(f"{told}.{key}", value, whole=kind is int)
    if not low < high:
        raise UsageError(f"{told} runs from {low} to {high}: expected low below high.")
    if not isinstance(log, bool):
        raise UsageError(f"{told}.log is {log!r}: expected true or false.")
    if log and low <= 0:
        raise UsageError(f"{told} begins at {low}, which has no logarithm: expected low above 0, or log = false.")
    if step is not None and (log or not 0 < step <= high - low):
        raise UsageError(
            f"{told}.step is {step}: expected more than 0, at most {high - low:g}, and none where log is true."
        )
    _require(told, keyword, low)
    _require(told, keyword, high)
    return Range(keyword.name, low, high, log, step, kind is int)


def _require_number(told: str, value: Any, *, whole: bool) -> None:
    fitting = isinstance(value, int if whole else int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not fitting:
        raise UsageError(f"{told} is {value!r}: expected a {'whole ' if whole else ''}number.")


def _choices(told: str, keyword: Keyword, given: Sequence[Any]) -> Choices:
    kind = _kind(keyword)
    points: list[Value] = []
    for value in given:
        word = ",".join(map(str, value)) or "none" if isinstance(value, list | tuple) else value
        fitting = isinstance(word, (*_kinds(keyword), kind)) or (kind is float and isinstance(word, int))
        if not fitting or (isinstance(word, bool) and kind is not bool):
            wanted = {bool: "true or false", int: "whole numbers", float: "numbers"}.get(kind, "words")
            raise UsageError(f"{told} has the choice {value!r}: expected {wanted}.")
        _require(told, keyword, _read(keyword, word))
        points.append(word)
    if len(set(points)) < max(2, len(points)):
        raise UsageError(f"{told} is {list(given)!r}: expected two choices or more, each once.")
    return Choices(keyword.name, tuple(points))


def _require(told: str, keyword: Keyword, value: Any) -> None:
    """Raise UsageError where the option refuses the value."""
    try:
        keyword.require(value)
    except UsageError as error:
        raise UsageError(f"{told}: {error}") from None


def _read(keyword: Keyword, value: Value) -> Any:
    read = keyword.option.read
    return read(value) if read is not None and isinstance(value, str) else value


def _kind(keyword: Keyword) -> type:
    """The type of its values: truth, whole number, number, or words for all else."""
    return next((kind for kind in (bool, int, float) if kind in _kinds(keyword)), str)


def _kinds(keyword: Keyword) -> tuple[type, ...]:
    """The plain types that its values may have: batches are counted, or chosen by a word."""
    kinds = get_args(keyword.type) if isinstance(keyword.type, UnionType) else (keyword.type,)
    return tuple(kind for kind in (bool, int, float, str) if kind in kinds)


def given_in(group: Options) -> list[str]:
    """The options of a group that do not have their defaults."""
    return [keyword.name for keyword in keywords_in(type(group)) if getattr(group, keyword.name) != keyword.default]
