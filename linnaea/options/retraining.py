"""When a run is trained again, on which images, and what the new run must show to take its place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from linnaea.options import checks
from linnaea.options.option import Option, Options
from linnaea.options.things import PlaceTag
from linnaea.options.words import names_in

USUAL_WHEN = ("drift", "coverage", "labels:200", "every:30d")


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
class Retraining(Options):
    """When, on what, and what is asked of the result.

    `when` names triggers, one of which must call. `test_share` and `val_share` of the reviewed images are put aside.
    On the old test set the new run must not be worse by `margin` of the task's metric or more, and on the new one it
    must be `on_new`. `rules` are those of `linnaea.check`. `place` is where it is promoted (None: nowhere), under
    `tag`. `warm_start` begins with the weights of the old run.
    """

    title = "Retraining"

    when: Annotated[
        Sequence[str],
        Option(
            "What calls for a training, separated by commas: {names}, as in labels:500 or every:2w.",
            checks.member("retraining trigger", "linnaea.experiments.retraining.triggers"),
            names=checks.names("retraining trigger", "linnaea.experiments.retraining.triggers"),
            read=names_in,
        ),
    ] = USUAL_WHEN
    test_share: Annotated[
        float, Option("Share of the reviewed images that is the new test set.", checks.share(0.3))
    ] = 0.3
    val_share: Annotated[float, Option("Share of the reviewed images that joins val.", checks.share(0.15))] = 0.15
    margin: Annotated[
        float,
        Option(
            "By how much of the task's metric the new run must not be worse on the old test set.", checks.share(0.02)
        ),
    ] = 0.02
    on_new: Annotated[
        str,
        Option(
            "What must be shown on the new test set: better, or not_worse by the margin.",
            checks.one_of("better", "not_worse"),
        ),
    ] = "better"
    rules: Annotated[
        str | Path | Mapping[str, Any] | None,
        Option("TOML file with parameters of the release gate's rules. Default: the usual ones.", read=Path),
    ] = None
    place: Annotated[
        str | None,
        Option("Where it is promoted: a path such as models/birds, or mlflow:birds. Default: nowhere."),
    ] = None
    tag: PlaceTag = "production"
    warm_start: Annotated[bool, Option("Begin with the weights of the old run.")] = False
