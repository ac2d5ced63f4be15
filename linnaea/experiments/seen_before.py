"""Whether images that judge a training were learnt from by the run whose weights it begins with."""

import logging
from collections.abc import Sequence
from pathlib import Path

from linnaea.learning.rungs import Step
from linnaea.run import Run
from linnaea.runtime.words import counted

logger = logging.getLogger("linnaea")
LEARNT_FROM = ("train", "val")
JUDGING = ("val", "test")


def warn_of_seen(run: Run, steps: Sequence[Step]) -> None:
    """Warn, and note in the run, where images of its val or test are among those that an earlier run learnt from."""
    for folder in dict.fromkeys(step.weights.run for step in steps if step.weights is not None and step.weights.run):
        told = _told(run, folder)
        if told:
            run.note(told)
            logger.warning(told)


def _told(run: Run, folder: Path) -> str:
    """The sentence, or "" where there is nothing to warn of."""
    earlier = Run(folder).read_rows("manifest.csv")
    if not earlier:
        return (
            f"{folder} has no manifest: whether its weights have learnt from images that are now in val or test "
            "cannot be known."
        )
    known = {row["sha256"] for row in earlier if row["split"] in LEARNT_FROM}
    rows = [row for row in run.read_rows("manifest.csv") if row["split"] in JUDGING and row["sha256"] in known]
    counts = [(split, sum(row["split"] == split for row in rows)) for split in JUDGING]
    found = " and ".join(f"{counted(count, 'image')} of {split}" for split, count in counts if count)
    if not found:
        return ""
    return (
        f"{found} were in train or val of {folder}, whose weights this training begins with: figures on them are too "
        "good. Give --split-seed as it was there, or images that it never saw."
    )
