"""`diff`: what changed between two versions of a dataset; nothing here needs torch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.errors import CheckFailedError
from linnaea.options import Option
from linnaea.options.things import AsJson
from linnaea.runtime.saying import say_result
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.data.versions.changes import Diff
    from linnaea.dataset import Dataset
    from linnaea.run import Run

Older = Annotated[
    "str | Path | Dataset | Run", Option("Older version: a run, or anything that can be trained on.", read=Path)
]
Newer = Annotated["str | Path | Dataset | Run", Option("Newer version, likewise.", read=Path)]


def tell(
    answer: Callable[[], "Diff"],
    given: Mapping[str, Any],
    *,
    as_json: AsJson = False,
    strict: Annotated[bool, Option("Exit with 1 if anything differs.")] = False,
) -> None:
    """Say what changed."""
    found = answer()
    say_result(found, as_json)
    if strict and found.differs:
        counts = ", ".join(f"{count} {kind}" for kind, count in found.counts.items())
        raise CheckFailedError(f"{given['first']} and {given['second']} differ: {counts}.")


@VERBS.register(
    "diff", title="Differences", meaning="Say what changed between two versions of a dataset, image by image.", order=32
)
@told_by(tell)
def diff(first: Older, second: Newer) -> "Diff":
    """What changed from one version of a dataset to another: added, removed, moved, relabelled, re-split and so on.

    A version is anything that `linnaea.read` takes, or a run, whose manifest says what it used. A folder is what lies
    in it now, each file read once; a table or a run is what it recorded, where it recorded content hashes.
    """
    from linnaea.experiments.versions import compared

    return compared(first, second)
