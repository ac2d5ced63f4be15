"""`score`: answers for very many images, written part by part into a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from linnaea.options import Machine, Only, Option, Preparation, checks
from linnaea.options.things import BundleFolder, Damaged, Trusted
from linnaea.verbs.contract import VERBS

if TYPE_CHECKING:
    from linnaea.experiments.scoring import Scored

ScoredOn = Annotated[
    str,
    Option(
        "Where a Parquet file is made: here, or part by part on the workers of a ray cluster.",
        checks.one_of("here", "ray"),
    ),
]


@VERBS.register(
    "score",
    title="Score",
    meaning="Answers for very many images, written part by part into a Parquet file.",
    order=53,
    command=False,
)
def score(
    classifier: BundleFolder,
    images: Annotated[
        "str | Path | Sequence[str | Path]",
        Option("Image files, or folders, tar shards and archives of them.", checks.files, read=Path, many=True),
    ],
    out: Annotated[str | Path, Option("Parquet file to write.", read=Path)],
    *,
    on: ScoredOn = "here",
    damaged: Damaged = "refuse",
    trust: Trusted = (),
    preparation: Annotated[Preparation, Only("max_pixels")] = Preparation(),
    machine: Annotated[Machine, Only("precision", "device")] = Machine(precision="float32"),
) -> "Scored":
    """Answer for images as `predict` does, each once, into a Parquet file; memory does not grow with their number.

    Folders stand for the images in them and in tar shards there, which are never unpacked. Finished parts lie in a
    folder beside the file until all of them are there. Where a scoring was stopped or killed, the same call checks and
    keeps them; one of another classifier, other images or other options is refused with the difference. The file is the
    same as that of a scoring that was never stopped. On "ray" the workers of a cluster make parts side by side; they
    find the classifier, the images and the folder of the file on a disk that all share. Raises DataError where there
    are no images, UsageError where an image would be scored twice, RunError where another process is at it.
    """
    from linnaea.experiments.scoring import score as carry_out
    from linnaea.run import Run

    folder = classifier.folder if isinstance(classifier, Run) else Path(classifier)
    options = {
        "damaged": damaged,
        "max_pixels": preparation.max_pixels,
        "precision": machine.precision,
        "device": machine.device,
    }
    return carry_out(folder, images, Path(out), options=options, on=on, trust=trust or None)
