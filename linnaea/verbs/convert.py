"""`convert`: any source as a folder with a manifest, or as shards."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from linnaea.options import Labelled, Option, checks
from linnaea.options.checks import at_least
from linnaea.runtime.saying import say
from linnaea.runtime.words import counted
from linnaea.verbs.contract import VERBS, told_by

if TYPE_CHECKING:
    from linnaea.dataset import Dataset


def tell(answer: Callable[[], "Dataset"], given: Mapping[str, Any]) -> None:
    """Say what was written, and what comes next."""
    dataset, out = answer(), given["out"]
    left = f"; {counted(len(dataset.excluded), 'file was', 'files were')} left out (see {out / 'manifest.csv'})"
    images, classes = counted(len(dataset), "image"), counted(len(dataset.classes), "class", "classes")
    say(f"In {out}: {images} of {classes}{left * bool(dataset.excluded)}.")
    say(f"Next: linnaea audit {out}")


@VERBS.register(
    "convert",
    title="Convert",
    meaning="Convert any supported source to a folder with a manifest, or to shards; image files are copied unchanged.",
    order=24,
)
@told_by(tell)
def convert(
    data: Labelled,
    out: Annotated[str | Path, Option("Folder to write to; it must be new or empty.", read=Path)],
    *,
    to: Annotated[
        str,
        Option(
            "What to write: {names}.",
            checks.member("form to convert to", "linnaea.data.writers"),
            names=checks.names("form to convert to", "linnaea.data.writers"),
        ),
    ] = "folder",
    split: Annotated[
        str | Sequence[str] | None,
        Option("Splits to convert, separated by commas. Default: all.", read=lambda text: text.split(",")),
    ] = None,
    images_per_shard: Annotated[int, Option("Largest number of images in one tar file.", at_least(1))] = 10_000,
) -> "Dataset":
    """Write labelled images in another form into the folder `out`, and return the dataset that is read from there.

    `data` is what `linnaea.read` takes, or a dataset. `to` is "folder" (image files and a manifest) or "shards" (tar
    files of at most `images_per_shard` images). `split` names the splits to take, all by default. The bytes of the
    images are copied as they are. `out` is there only once it is whole. Raises UsageError where it holds anything.
    """
    from linnaea.experiments.conversion import converted

    return converted(data, Path(out), to=to, split=split, images_per_shard=images_per_shard)
