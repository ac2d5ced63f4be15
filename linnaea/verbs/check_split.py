"""`check_split`: look for leaks in splits that are given."""

from typing import TYPE_CHECKING, Annotated

from linnaea.options import Labelled, Only, Preparation
from linnaea.verbs.contract import VERBS

if TYPE_CHECKING:
    from linnaea.finding import Finding


@VERBS.register(
    "check_split", title="Check a split", meaning="Look for leaks in splits that are given.", order=21, command=False
)
def check_split(
    data: Labelled,
    *,
    preparation: Annotated[Preparation, Only("split_by", "duplicates", "max_pixels", "channels")] = Preparation(),
) -> "list[Finding]":
    """Look for leaks in splits (and folds) that are given, and change nothing.

    The shares; duplicates or groups in two splits; images on the wrong side of a border in time, which is a leak if
    `split_by` is "time" or the splits were clearly meant to be in order; classes that a split lacks. Raises UsageError
    when the data has neither splits nor folds.
    """
    from linnaea.data.sources import read
    from linnaea.dataset import Dataset
    from linnaea.experiments.split_check import check_splits

    return check_splits(data if isinstance(data, Dataset) else read(data), preparation)
