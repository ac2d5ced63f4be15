"""Which groups of images are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from linnaea.options import checks
from linnaea.options.option import Option, Options
from linnaea.options.words import names_in


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
class Grouping(Options):
    """Which groups of images are compared.

    `by` names columns of metadata, whose values make groups; those of fewer than `smallest` images are not judged.
    `find_slices` looks for groups that no column names.
    """

    title = "Groups of images"

    by: Annotated[
        Sequence[str],
        Option(
            "Columns of metadata, separated by commas, whose values make groups to compare. Default: none.",
            read=names_in,
        ),
    ] = ()
    smallest: Annotated[
        int, Option("Smallest number of images in a group that is judged.", checks.at_least(2, "images", 10))
    ] = 10
    find_slices: Annotated[
        bool, Option("Look for images that look alike and are answered worse than the others, whatever columns say.")
    ] = False
