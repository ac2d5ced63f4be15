"""`compare`: two runs on the same images, by what they left; nothing here needs torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from linnaea.options import Option
from linnaea.options.checks import run
from linnaea.verbs.contract import VERBS

if TYPE_CHECKING:
    from linnaea.evidence.comparison import Comparison


@VERBS.register("compare", meaning="Compare two runs on the same images with a paired test.", order=54)
def compare(
    first: Annotated[str | Path, Option("The folder of a finished run, such as runs/birds.", run, read=Path)],
    second: Annotated[str | Path, Option("Folder of the run to compare it with.", read=Path)],
) -> "Comparison":
    """Compare two runs on the images they have in common, by a paired test; see `linnaea.evidence.compare`.

    Where that is the test split, it counts as a look at the test split of both.
    """
    from linnaea.experiments.run_comparison import compare_runs

    return compare_runs(first, second)
