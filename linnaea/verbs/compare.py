"""`compare`: two classifiers on the same images; runs by what they left, which needs no torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from linnaea.options import Option
from linnaea.options.checks import run, source
from linnaea.verbs.contract import VERBS

if TYPE_CHECKING:
    from linnaea.dataset import Dataset
    from linnaea.evidence.comparison import Comparison


@VERBS.register(
    "compare", title="Compare", meaning="Compare two classifiers on the same images with a paired test.", order=54
)
def compare(
    first: Annotated[str | Path, Option("Folder of a run, a bundle or an export, or a file of predictions.", run)],
    second: Annotated[str | Path, Option("What to compare it with, of the same kinds.", run)],
    *,
    data: Annotated[
        "str | Path | Dataset | None",
        Option("Labelled images to compare them on. Default: the test split of the run.", source),
    ] = None,
) -> "Comparison":
    """Compare two classifiers on the images they have in common, by a paired test; see `linnaea.evidence.compare`.

    Runs and files of predictions (`.parquet`) are compared by what they hold; a bundle or an exported folder answers
    for the images that the run beside it was judged on. With `data` both answer for these images, without those that a
    run was trained or tuned on. A comparison on a test split counts as a look at it. Raises DataError where they have
    no image, task or classes in common.
    """
    from linnaea.experiments.paired_comparison import compare_sides

    return compare_sides(first, second, data)
