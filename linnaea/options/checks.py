"""What options may be, told before anything heavy is imported: names of members are looked up in their source text."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnaea.errors import DataError, MissingExtraError, RunError, UsageError
from linnaea.options.option import Check
from linnaea.runtime.arguments import require_one_of, require_share, require_there

if TYPE_CHECKING:
    from linnaea.registry.index import Family

NAMED = ("hub:", "torchvision:")  # sets that are not on disk yet


def one_of(*known: str) -> Check:
    """Words that are known."""
    return lambda name, given: require_one_of(known, name, given)


def one_of_numbers(*known: int) -> Check:
    """Whole numbers that are known."""

    def check(name: str, given: Any) -> None:
        if given not in known or isinstance(given, bool):
            raise UsageError(f"{name} is {given}; expected one of {', '.join(map(str, known))}.")

    return check


def share(usual: float) -> Check:
    """A number between 0 and 1; `usual` is an example."""
    return lambda name, given: require_share(name, given, usual)


def between(least: float, most: float, usual: float) -> Check:
    """A number from `least` to `most`, both included; `usual` is an example."""

    def check(name: str, given: Any) -> None:
        fitting = isinstance(given, int | float) and not isinstance(given, bool) and least <= given <= most
        if not fitting:
            raise UsageError(f"{name} is {given}; expected a number from {least:g} to {most:g}, such as {usual:g}.")

    return check


def at_least(least: int, of: str = "", usual: int | None = None) -> Check:
    """A whole number from `least` up, `of` something; `usual` is an example."""

    def check(name: str, given: Any) -> None:
        if not isinstance(given, int) or isinstance(given, bool) or given < least:
            example = "" if usual is None else f", such as {usual}"
            raise UsageError(
                f"{name} is {given}; expected {' '.join(filter(None, [str(least), of]))} or more{example}."
            )

    return check


def readable_by(parse: Callable[[Any], object]) -> Check:
    """What `parse` can read."""

    def check(name: str, given: Any) -> None:
        try:
            parse(given)
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from None

    return check


def member(noun: str, package: str, also: Sequence[str] = ()) -> Check:
    """The name of a member of a family, or one of the words `also`; what follows a colon or an equals sign is its own.

    Several names may be given in a list.
    """

    def check(name: str, given: Any) -> None:
        from linnaea.registry.index import family_in

        for one in [given] if isinstance(given, str) else given:
            plain = re.split("[:=]", one)[0] if isinstance(one, str) else one
            if plain not in also:
                _require(name, family_in(noun, package), plain, also)

    return check


def names(noun: str, package: str) -> Callable[[], list[str]]:
    """The names of the members of a family, plugins included, for the help of an option; nothing is imported."""

    def listed() -> list[str]:
        from linnaea.registry.index import family_in

        return list(family_in(noun, package).members)

    return listed


def member_with_number(noun: str, package: str) -> Check:
    """As `member`, where a number may follow a colon: one that its member takes, within its range."""
    named = member(noun, package)

    def check(name: str, given: Any) -> None:
        from linnaea.learning.amounts import amount_of, number_after
        from linnaea.registry.index import family_in

        named(name, given)
        for one in [given] if isinstance(given, str) else given:
            number_after(one, noun, amount_of(family_in(noun, package).about(one.partition(":")[0])))

    return check


def loss(name: str, given: Any) -> None:
    """As `member_with_number` of losses; of one that is a method against imbalance, says which option has it."""
    from linnaea.registry.index import family_in

    plain = given.partition(":")[0] if isinstance(given, str) else ""
    if (
        plain in family_in("balance", "linnaea.learning.balance").members
        and plain not in family_in("loss", "linnaea.learning.losses").members
    ):
        raise UsageError(f"{name} is {given!r}, which goes by the classes' numbers of images: use --balance {given}.")
    member_with_number("loss", "linnaea.learning.losses")(name, given)


def uncertainty(name: str, given: Any) -> None:
    """As `member_with_number` of methods of uncertainty; a number alone is that of a deep ensemble's members."""
    if not isinstance(given, int | str) or isinstance(given, bool):
        raise UsageError(f"{name} is {given!r}; expected the name of a method, or a number of members.")
    named = given if isinstance(given, str) else f"deep_ensemble:{given}"
    member_with_number("uncertainty", "linnaea.learning.uncertainty")(name, named)


def _require(name: str, family: "Family", given: Any, also: Sequence[str]) -> None:
    from linnaea.registry.about import unknown

    known = [*family.known, *also]
    if not isinstance(given, str):
        raise UsageError(f"{name} is {given!r}; expected one of {', '.join(known)}.")
    if given not in known:
        raise UsageError(f"{name}: {unknown(family.noun, given, known)}")


def installed(noun: str, package: str) -> Check:
    """As `member`, where the packages that each member `needs` must be installed."""
    named = member(noun, package)

    def check(name: str, given: Any) -> None:
        from importlib.util import find_spec

        from linnaea.registry.index import family_in

        named(name, given)
        for one in [given] if isinstance(given, str) else given:
            told = family_in(noun, package).about(one).capabilities
            needs = told.get("needs", ())
            assert isinstance(needs, tuple), f"{noun} {one}: needs is a tuple of packages"
            missing = [library for library in needs if find_spec(library) is None]
            if missing and "extra" in told:
                raise MissingExtraError(missing[0], str(told["extra"]))
            if missing:
                raise UsageError(f"{name} {one} needs {missing[0]}: install it with `pip install {missing[0]}`.")

    return check


def model(name: str, given: Any) -> None:
    """Raise UsageError unless each name between commas is auto, a rung, a model, a pipeline or a network."""
    if not isinstance(given, str):
        raise UsageError(
            f"{name} is {given!r}; expected auto, or names of rungs, pipelines and networks, joined by commas."
        )
    from linnaea.learning.model_names import require_models

    require_models(given)


def source(_: str, given: Any) -> None:
    """Raise DataError for a path that is not there, and one that holds no labelled images."""
    if not Path(given).exists() and not str(given).startswith(NAMED):
        raise DataError(f"{given} does not exist: expected a folder of images, or a CSV or Parquet file.")
    from linnaea.data.sources import find_source

    find_source(Path(given))


def each_source(name: str, given: Any) -> None:
    """The same of each of any number that is no dataset already."""
    for one in [given] if isinstance(given, str | Path) else given:
        if isinstance(one, str | Path):
            source(name, one)


def run(_: str, given: Any) -> None:
    """Raise RunError where the folder of a run is not there."""
    if not Path(given).exists():
        raise RunError.missing(given)


def runs(name: str, given: Any) -> None:
    """Raise UsageError for fewer than two folders of runs, RunError where one is not there."""
    named = [given] if isinstance(given, str | Path) else list(given)
    if len(named) < 2:
        raise UsageError(
            f"{name} is {' '.join(map(str, named)) or 'empty'}; expected the folders of two finished runs or more."
        )
    require_different_runs(named)
    for folder in named:
        run(name, folder)


def require_different_runs(given: Sequence[str | Path]) -> None:
    """Raise UsageError for fewer than two different folders, or one that is given twice."""
    places = [Path(folder).resolve() for folder in given]
    if len(set(places)) < 2:
        raise UsageError(
            f"an ensemble is of two different runs or more, and {', '.join(map(str, given))} is one: name others."
        )
    twice = next((folder for folder, place in zip(given, places, strict=True) if places.count(place) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice} is given twice, and would count twice: name each run once.")


def each_run(name: str, given: Any) -> None:
    """The same of each of any number."""
    for folder in [given] if isinstance(given, str | Path) else given:
        run(name, folder)


def classifier(name: str, given: Any) -> None:
    """Raise UsageError where there is no classifier in a folder, nor in the run that it is."""
    if not any((Path(given) / place / "classifier.json").is_file() for place in (".", "model")):
        raise UsageError(f"{name} is {given}; expected the folder of a finished run, or of a classifier.")


def files(_: str, given: Any) -> None:
    """Raise DataError where image files, or folders of them, are not there."""
    require_there([Path(path) for path in ([given] if isinstance(given, str | Path) else given)])
