"""What is searched for good options, how, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from linnaea.options import checks
from linnaea.options.option import Option, Options
from linnaea.runtime.arguments import require_count
from linnaea.runtime.duration import parse_duration


def space_in(given: str | Mapping[str, Any]) -> Path | Mapping[str, Any]:
    """A file, or a space that is written out."""
    return given if isinstance(given, Mapping) else Path(given)


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
class Searching(Options):
    """What is searched, and how.

    `search` names the way of searching; `trials` and `budget`, seconds or like "30m", say when it ends (both None: 20
    trials). `space` is a TOML file, or a mapping, from options of learning to ranges and choices (None: what suits the
    model). `on` "ray" makes several trials at once. `inner_folds` judges each trial by cross-validation (None: on val).
    """

    title = "Search"

    search: Annotated[
        str,
        Option(
            "How to search: {names}.",
            checks.member("search", "linnaea.experiments.search"),
            names=checks.names("search", "linnaea.experiments.search"),
        ),
    ] = "bayes"
    trials: Annotated[
        int | None,
        Option("Most trials. Default: 20 without a budget, all of a grid, any number in a budget.", require_count),
    ] = None
    budget: Annotated[
        str | float | None,
        Option("Time for the search, such as 90s, 30m or 2h. Default: no limit.", checks.readable_by(parse_duration)),
    ] = None
    space: Annotated[
        str | Path | Mapping[str, Any] | None,
        Option("TOML file with the options to search. Default: those that suit the model.", read=space_in),
    ] = None
    on: Annotated[
        str,
        Option(
            "Where trials are made: here, one after the other, or at the same time on the workers of a ray cluster.",
            checks.one_of("here", "ray"),
        ),
    ] = "here"
    inner_folds: Annotated[
        int | None,
        Option("Judge each trial over so many folds of train and val. Default: on val alone.", checks.at_least(2)),
    ] = None
