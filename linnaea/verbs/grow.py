"""`grow`: the classifier of a run learns further classes; what it sees with stays as it is."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import Labelled, Option, RunFolder
from linnaea.verbs.contract import VERBS, told_by
from linnaea.verbs.outcome import tell_outcome

if TYPE_CHECKING:
    from linnaea.classifier import Classifier


def tell(answer: Callable[[], "Classifier"], given: Mapping[str, Any]) -> None:
    """Say what came of it, where it is, and what comes next."""
    classifier = answer()
    tell_outcome(given["out"] or Path(given["run"]).resolve().parent / classifier.provenance["run"])


@VERBS.register(
    "grow", title="Grow", meaning="Add classes to the classifier of a run: only its head is fitted again.", order=48
)
@told_by(tell)
def grow(
    run: RunFolder,
    data: Labelled,
    *,
    out: Annotated[
        str | Path | None,
        Option("Folder to write the new run to. Default: a new one beside the old run.", read=Path),
    ] = None,
) -> "Classifier":
    """Teach the classifier of a run further classes, or more of its own, and leave a new run in the folder `out`.

    `data` are labelled images, such as the folders of `linnaea.discover` under names that you gave them. What the model
    makes of an image stays as it is; only its linear head is fitted again, on the features of the run's images and the
    new ones, then calibrated and judged like any other. Images of the run stay in their splits, and new ones that show
    the same image join them. The finding `grown` says what it cost the classes known before. `out` None makes a new
    folder beside the run. Raises DataError, UsageError or RunError, each saying how to mend it.
    """
    started = time.monotonic()
    from linnaea.data.sources import read
    from linnaea.dataset import Dataset
    from linnaea.experiments.growth import Growth, carry_out, grown_folder
    from linnaea.run import Run

    old = run if isinstance(run, Run) else Run.open(run)
    old.require_finished()
    given = data if isinstance(data, Dataset) else read(data)
    return carry_out(Growth.of(old, given), grown_folder(old, out), given, data, started)
