"""`ensemble`: finished runs become one classifier, which answers by the mean of theirs."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import Option
from linnaea.options.checks import runs
from linnaea.verbs.contract import VERBS, told_by
from linnaea.verbs.outcome import tell_outcome

if TYPE_CHECKING:
    from linnaea.classifier import Classifier


def tell(answer: Callable[[], "Classifier"], given: Mapping[str, Any]) -> None:
    """Say what came of it, where it is, and what comes next."""
    classifier = answer()
    tell_outcome(given["out"] or Path(given["runs"][0]).resolve().parent / classifier.provenance["run"])


@VERBS.register(
    "ensemble",
    title="Ensemble",
    meaning="Combine finished runs of the same classes into one that answers by their mean.",
    order=49,
)
@told_by(tell)
def ensemble(
    runs: Annotated[
        Sequence[str | Path],
        Option("Folders of finished runs of the same classes.", runs, read=Path, many=True, metavar="RUN"),
    ],
    *,
    out: Annotated[
        str | Path | None,
        Option("Folder to write the new run to. Default: a new one beside the first run.", read=Path),
    ] = None,
) -> "Classifier":
    """Combine finished runs into a classifier that answers by the mean of their probabilities, as a new run in `out`.

    Networks and image sizes may differ, and classical pipelines may be among them; classes may not. It is calibrated
    and judged on those images of the first run that no member trained on; the look at the test split is counted in
    each. `out` None makes a new folder beside the first run. Raises UsageError, RunError, BundleError or DataError,
    each saying how to mend it.
    """
    started = time.monotonic()
    from linnaea.experiments.ensembling import combined

    return combined(runs, out, started)
