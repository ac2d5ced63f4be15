"""How often the same is done, to see how far it depends on which images and which draws it met."""

from dataclasses import dataclass
from typing import Annotated

from linnaea.options import checks
from linnaea.options.option import Option, Options


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
class Repetition(Options):
    """How often the same is done.

    `folds` is the number of parts of the images of train and val, each of which is judged by what learnt from the
    others. `seeds` is how often the chosen step is trained, with seeds counted up from `seed`. None: once.
    """

    title = "Repetition"

    folds: Annotated[
        int | None,
        Option("Cross-validate the training over so many folds of train and val. Default: no.", checks.at_least(2)),
    ] = None
    seeds: Annotated[
        int | None,
        Option(
            "Train the chosen step with so many seeds, and tell how its figure varies. Default: 1.", checks.at_least(1)
        ),
    ] = None
