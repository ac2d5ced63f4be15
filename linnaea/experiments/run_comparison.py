"""Two runs on the same images, by what they left; nothing here needs torch."""

import logging
from pathlib import Path

from linnaea.errors import DataError, UsageError
from linnaea.evidence.comparison import Comparison
from linnaea.evidence.comparison import compare as compare_predictions
from linnaea.run import Run

logger = logging.getLogger("linnaea")


def compare_runs(first: str | Path, second: str | Path) -> Comparison:
    """Compare two runs on the images they have in common, by a paired test; see `linnaea.compare`."""
    runs = Run.open(first), Run.open(second)
    if runs[0].folder.resolve() == runs[1].folder.resolve():
        raise UsageError(f"{first} and {second} are the same run: name two different runs.")
    for run in runs:
        run.require_finished()
    names = [run.judged_on for run in runs]
    if names[0] != names[1]:
        raise DataError(
            f"{first} was judged on {names[0]} and {second} on {names[1]}: expected the same split; evaluate both on "
            "the same data."
        )
    _require_same_images(*runs)
    parts = [run.predictions(name) for run, name in zip(runs, names, strict=True)]
    shown = [run.folder.name for run in runs]
    if shown[0] == shown[1]:
        shown = [str(run.folder) for run in runs]
    comparison = compare_predictions(parts[0], parts[1], (shown[0], shown[1]))
    if names[0] == "test":
        for run, other in zip(runs, reversed(shown), strict=True):
            with run.locked():
                run.count_test(f"compare with {other}")
        logger.info("This counts as one more look at the test split of both runs.")
    return comparison


def _require_same_images(first: Run, second: Run) -> None:
    """Raise DataError where images of the two runs share a name but not their content."""
    hashes = [dict(zip(run.dataset().ids, run.dataset().column("sha256"), strict=True)) for run in (first, second)]
    shared = hashes[0].keys() & hashes[1].keys()
    differing = [path for path in shared if hashes[0][path] != hashes[1][path]]
    if differing:
        raise DataError(
            f"{len(differing)} of {len(shared)} images have the same name in both runs but different content (first "
            f"{min(differing)}): runs can only be compared on the same images."
        )
