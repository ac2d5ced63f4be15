"""`calibrate`: the classifier of a run with another calibrator, other sets or other promises."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import Option, Redecision, RunFolder
from linnaea.options.checks import source
from linnaea.options.things import AsJson
from linnaea.runtime.saying import say, say_json
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.classifier import Classifier
    from linnaea.dataset import Dataset

OWN = "calibrated"


def tell(answer: Callable[[], "Classifier"], given: Mapping[str, Any], *, as_json: AsJson = False) -> None:
    """Say which calibrator it has, how that was chosen, where it is and what comes next."""
    told = answer().provenance["calibration"]
    if as_json:
        say_json(told)
        return
    for finding in told["findings"]:
        say(finding["summary"])
    folder = given["out"] or Path(given["run"]) / OWN
    say(f"The classifier is in {folder}; the run stays as it was.")
    say(f"Next: linnaea evaluate {folder} --data LABELLED")


@VERBS.register(
    "calibrate",
    title="Calibrate",
    meaning="The classifier of a run with another calibrator, other prediction sets or other promises, fitted on val.",
    order=47,
)
@told_by(tell)
def calibrate(
    run: RunFolder,
    data: Annotated[
        "str | Path | Dataset | None",
        Option("Labelled images to calibrate on. Default: the run's own val images.", source, read=Path),
    ] = None,
    *,
    out: Annotated[
        str | Path | None, Option("Folder to write the classifier to. Default: RUN/calibrated.", read=Path)
    ] = None,
    decision: Redecision = Redecision(),
) -> "Classifier":
    """Calibrate the classifier of a run anew, and write it as a bundle into the folder `out` (None: RUN/calibrated).

    Calibrator, thresholds and sets are fitted to what the run said of its val images, or to other labelled images,
    `data`, of which those are left out that the run was trained or tested on. Options that are not given are those that
    the run was trained with; an adaptation to other shares of the classes is dropped; both are said. The run itself,
    its figures and its report stay as they are: judge the new one on images that played no part. Raises UsageError for
    options that do not fit the task, DataError where no image is left.
    """
    from linnaea.experiments.recalibration import recalibrated
    from linnaea.run import Run

    opened = run if isinstance(run, Run) else Run.open(run)
    return recalibrated(opened, data, decision, Path(out) if out is not None else opened.folder / OWN)
