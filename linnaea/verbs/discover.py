"""`discover`: what a classifier calls unfamiliar, grouped into proposals for new classes."""

from collections.abc import Sequence
from pathlib import Path

from linnaea.classifier import load
from linnaea.errors import DataError, UsageError
from linnaea.experiments.discovery import (
    NAME,
    SMALLEST,
    Discovery,
    contact_sheet,
    copied,
    discovery_finding,
    grouped,
    unfamiliar_images,
)
from linnaea.experiments.image_files import image_files
from linnaea.run import Run
from linnaea.runtime.files import whole_folder


def discover(
    run: str | Path | Run,
    images: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    smallest: int = SMALLEST,
) -> Discovery:
    """Group the images that a run's classifier calls unfamiliar, and propose each group as a new class.

    `images` are files, folders and archives; images of the run itself are left out. Groups are clusters of the model's
    features, their number the one with the highest silhouette; fewer than `smallest` images make none. Copies of the
    images go into a folder `new-1`, `new-2`, ... per group, below `out` (None: `discovered` in the run's folder):
    rename, merge and delete these, then give the folder to `linnaea.grow`. Raises DataError where nothing is unfamiliar
    or no group is found.
    """
    if smallest < 2:
        raise UsageError(f"smallest is {smallest}; expected 2 images or more, such as {SMALLEST}.")
    opened = run if isinstance(run, Run) else Run.open(run)
    opened.require_finished()
    classifier = load(opened.model_folder)
    if classifier.familiarity is None or classifier.policy.ood_threshold is None:
        raise UsageError(
            f"nothing is unfamiliar to {opened.folder}: it has no familiarity score. Train it with --ood auto and "
            "another model."
        )
    place = Path(out) if out is not None else opened.folder / NAME
    with opened.locked(), whole_folder(place) as folder:
        strangers = unfamiliar_images(opened, classifier, image_files(images))
        grouping = grouped(opened, classifier, strangers.embedded.features, smallest)
        if not (grouping.groups >= 0).any():
            raise DataError(
                f"{len(strangers.paths)} of {strangers.asked} images count as unfamiliar, and no group of them has "
                f"{smallest}: give more images. Images that you can name yourself may be given to `linnaea grow` at "
                "once, in a folder per class."
            )
        rows = copied(strangers, grouping, folder)
    sheet = contact_sheet(classifier, strangers, grouping, place.with_name(f"{place.name}.png"))
    finding = discovery_finding(strangers, grouping, rows, place)
    opened.write_findings(NAME, [finding])
    return Discovery(place, sheet, finding)
