"""`monitor`: whether what is seen and answered is still what the model was judged on."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.errors import CheckFailedError
from linnaea.options import Machine, Only, Option, Preparation, checks
from linnaea.options.monitoring import Alerts
from linnaea.options.things import Answering, AsJson
from linnaea.runtime.saying import say, say_findings, say_json
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.experiments.monitoring.monitoring import Monitored
    from linnaea.finding import Finding


def tell(answer: Callable[[], "Monitored"], given: Mapping[str, Any], *, as_json: AsJson = False) -> None:
    """Say what every monitor found; the exit code is 1 where one raised an alarm."""
    found = answer()
    if as_json:
        say_json(found.to_json())
    else:
        say(*found.facts["notes"])
        told = [one for each in found.found.values() for place, one in enumerate(each) if _is_told(place, one)]
        say_findings(told, as_json=False)
        say(f"Findings that are told in full on the page: {len(found.findings)}.")
        say(f"The page is {found.page}, with the same in {found.file.name} beside it.")
    if found.alarms:
        names = ", ".join(dict.fromkeys(finding.name.replace("_", " ") for finding in found.alarms))
        raise CheckFailedError(f"there is an alarm: {names}. See {found.page}.")


def _is_told(place: int, finding: "Finding") -> bool:
    """Whether it is said in the shell: the first of each monitor, and what is no mere information."""
    return place == 0 or finding.severity != "info"


@VERBS.register(
    "monitor",
    title="Monitor",
    meaning="Whether what is seen and answered is still what the model was judged on: drift, window by window.",
    order=75,
)
@told_by(tell)
def monitor(
    classifier: Answering,
    *,
    log: Annotated[
        "str | Path | None", Option("Folder of an audit log, as `linnaea serve --log` writes it.", read=Path)
    ] = None,
    images: Annotated[
        "str | Path | Sequence[str | Path] | None",
        Option("Images that came since, in place of a log.", checks.files, read=Path),
    ] = None,
    labels: Annotated[
        str | Path | None,
        Option(
            "Labels that came later: a CSV file request,place,label[,chance], or a folder of reviewed images. Default: "
            "none.",
            read=Path,
        ),
    ] = None,
    reference: Annotated[
        str | Path,
        Option("What to compare with: test (the run's own test split), or a file of predictions, .parquet."),
    ] = "test",
    window: Annotated[
        str | int, Option("What is looked at together: a number of images, or a time, such as 1d or 12h.")
    ] = "500",
    rate: Annotated[
        float, Option("Share of windows in which nothing changed that may be called changed.", checks.share(0.01))
    ] = 0.01,
    alert: Alerts = (),
    out: Annotated[str | Path | None, Option("Folder to write to. Default: RUN/monitoring.", read=Path)] = None,
    preparation: Annotated[Preparation, Only("max_pixels")] = Preparation(),
    machine: Annotated[Machine, Only("seed", "device")] = Machine(),
) -> "Monitored":
    """Compare what came since, window by window, with what the classifier was judged on, and write what is found.

    What came since is an audit `log` or `images`; of a log only answers of this classifier, and of exports beside it,
    are compared. The `reference` is the test split of the run (val, with a note, where there is none), also of an
    export that lies in its folder, or a file of predictions. A `window` is a number of images or a time ("1d"). All
    drift tests of a window together call it changed, where nothing changed, in the share `rate` of windows. Features
    are compared where the classifier is a network and images are at hand; else logits, pixels and answers. Written are
    `monitoring.json` and `monitoring.html` into `out` (None: `monitoring` in the folder of the run, or here), in place
    of earlier ones. With `labels` that came after the answers of the log, accuracy and coverage are those of labelled
    images; those of unknown requests are named. `alert` names who is told of an alarm, once until it is over, which
    `alerts.json` in `out` remembers. On the command line the exit code is 1 where there is an alarm. Raises UsageError
    where there is no reference, and for one of other classes, DataError where there is nothing of this classifier to
    look at.
    """
    from linnaea.experiments.monitoring.monitoring import Asked, monitor_classifier

    place, late = (None if one is None else Path(one) for one in (out, labels))
    told = (alert,) if isinstance(alert, str) else tuple(alert)
    how = Asked(str(window), rate, machine.seed, machine.device, preparation.max_pixels, place, late, told)
    return monitor_classifier(classifier, log, images, reference, how)
