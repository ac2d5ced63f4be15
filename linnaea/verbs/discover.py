"""`discover`: what a classifier calls unfamiliar, grouped into proposals for new classes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import ImageFiles, Option, RunFolder
from linnaea.options.checks import at_least
from linnaea.options.things import AsJson
from linnaea.runtime.saying import say, say_json
from linnaea.runtime.words import counted
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.experiments.discovery import Discovery


def tell(answer: Callable[[], "Discovery"], given: Mapping[str, Any], *, as_json: AsJson = False) -> None:
    """Say which groups there are, where they lie, and what comes next."""
    found = answer()
    if as_json:
        say_json(found.finding.to_json() | {"folder": str(found.folder), "sheet": str(found.sheet)})
        return
    say(found.finding.summary)
    for row in found.finding.rows:
        say(f"  {row['group']}: {counted(row['images'], 'image')}, mostly answered {row['mostly answered']}")
    say(f"They are shown in {found.sheet}.")
    say(f"Next: rename the folders in {found.folder}, then linnaea grow {given['run']} {found.folder}")


@VERBS.register(
    "discover",
    title="Discover",
    meaning="Group the images that a run calls unfamiliar, and propose each group as a new class.",
    order=44,
)
@told_by(tell)
def discover(
    run: RunFolder,
    images: ImageFiles,
    *,
    out: Annotated[str | Path | None, Option("Folder to write to. Default: RUN/discovered.", read=Path)] = None,
    smallest: Annotated[int, Option("Smallest number of images in a group.", at_least(2, "images", 5))] = 5,
) -> "Discovery":
    """Group the images that a run's classifier calls unfamiliar, and propose each group as a new class.

    `images` are files, folders and archives; images of the run itself are left out. Groups are clusters of the model's
    features, their number the one with the highest silhouette; fewer than `smallest` images make none. Copies of the
    images go into a folder `new-1`, `new-2`, ... per group, below `out` (None: `discovered` in the run's folder):
    rename, merge and delete these, then give the folder to `linnaea.grow`. Raises DataError where nothing is unfamiliar
    or no group is found.
    """
    from linnaea.dataset import Dataset
    from linnaea.experiments.discovery import NAME, discover_classes
    from linnaea.experiments.image_files import image_files
    from linnaea.run import Run

    opened = run if isinstance(run, Run) else Run.open(run)
    paths = images.paths if isinstance(images, Dataset) else image_files(images)
    return discover_classes(opened, paths, Path(out) if out is not None else opened.folder / NAME, smallest)
