"""`compress`: the classifier of a run, smaller or faster, as a run of its own."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import Compressing, Machine, Only, Option, RunFolder
from linnaea.runtime.arguments import require_bits
from linnaea.verbs.contract import VERBS, told_by
from linnaea.verbs.outcome import tell_outcome

if TYPE_CHECKING:
    from linnaea.classifier import Classifier


def tell(answer: Callable[[], "Classifier"], given: Mapping[str, Any]) -> None:
    """Say what came of it, where it is, and what comes next."""
    classifier = answer()
    tell_outcome(given["out"] or Path(given["run"]).resolve().parent / classifier.provenance["run"])


@VERBS.register(
    "compress",
    title="Compress",
    meaning="Make the classifier of a run smaller or faster, and show what that costs.",
    order=58,
)
@told_by(tell)
def compress(
    run: RunFolder,
    *,
    out: Annotated[
        str | Path | None,
        Option("Folder to write the new run to. Default: a new one beside the run.", read=Path),
    ] = None,
    compressing: Compressing = Compressing(),
    machine: Annotated[Machine, Only("device")] = Machine(),
) -> "Classifier":
    """Make the classifier of a finished run smaller or faster by one method or several, as a new run in `out`.

    Methods are applied in the order given. What comes of them is calibrated anew on val, with thresholds and prediction
    sets, and compared with the run on the same test images by a paired test: its metric, its worst class, calibration
    and what it declines, with size and speed; the look at the test split is counted in both. Where more than `max_drop`
    points are lost on val, or the `target` is not met, the test split stays closed, nothing is kept, and
    CheckFailedError tells the nearest point. `out` None makes a new folder beside the run. Raises UsageError for a
    method that cannot compress it, RunError where the run is not finished or the folder is taken.
    """
    started = time.monotonic()
    if "quantize" in compressing.method:
        require_bits(compressing.bits, compressing.backend)
    from linnaea.experiments.compression.compression import compressed
    from linnaea.experiments.compression.source import Source
    from linnaea.run import Run

    source = Source.of(run if isinstance(run, Run) else Run.open(run), compressing)
    return compressed(source, compressing, out, started, device=machine.device)
