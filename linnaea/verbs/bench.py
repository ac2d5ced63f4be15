"""`bench`: what classifiers cost: latency, throughput, size and memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from linnaea.options import Option, checks
from linnaea.options.things import Trusted
from linnaea.runtime.arguments import require_count
from linnaea.verbs.contract import VERBS

if TYPE_CHECKING:
    from linnaea.experiments.benching import Bench


@VERBS.register(
    "bench",
    title="Bench",
    meaning="Measure latency, throughput, size and memory of runs and exported folders.",
    order=61,
)
def bench(
    folders: Annotated[
        "str | Path | Sequence[str | Path]",
        Option("Folders of runs, bundles or exports.", checks.each_run, read=Path, many=True, metavar="FOLDER..."),
    ],
    *,
    images: Annotated[
        "str | Path | Sequence[str | Path] | None",
        Option(
            "Image files, or a folder of them, to answer for. Default: those that the run was judged on.",
            checks.files,
            read=Path,
        ),
    ] = None,
    rounds: Annotated[int, Option("How often each is measured, in turns.", require_count)] = 5,
    threads: Annotated[
        int | None, Option("Cores that each may use. Default: as many as this process may.", require_count)
    ] = None,
    trust: Trusted = (),
) -> "Bench":
    """Measure what classifiers cost, each in a fresh process, by turns; see `linnaea.experiments.benching.Measured`.

    All of them answer for the same images, up to 128: one by one from file to answer (latency), many at once from files
    to answers, and the runtime alone given decoded images. Every figure has its interval over the rounds. Where keys
    are to `trust`, one of them must have signed each classifier. Raises
    DataError where no images are given and none of the folders belongs to a run.
    """
    from linnaea.experiments.benching import bench as measure

    given = [folders] if isinstance(folders, str | Path) else list(folders)
    return measure(given, images, rounds=rounds, threads=threads, trust=trust)
