"""`folds`: datasets for cross-validation."""

from collections.abc import Iterator
from pathlib import Path

from linnaea.data.sources import read
from linnaea.data.splits import assign_folds, each_fold, given_folds, with_folds
from linnaea.dataset import Dataset
from linnaea.errors import UsageError
from linnaea.experiments.splitting import without_splits
from linnaea.runtime.arguments import require_seed

FOLDS = 5


def folds(
    data: str | Path | Dataset,
    *,
    folds: int | None = None,
    repeats: int | None = None,
    duplicates: str = "near",
    max_pixels: int | None = None,
    seed: int = 0,
) -> Iterator[Dataset]:
    """Datasets for cross-validation: each fold of each repeat is once test, val comes out of the rest, the rest trains.

    Repeat by repeat, and fold by fold in each; duplicates and groups are never apart. Folds that the data names in
    columns `fold_1`, ... are kept, otherwise there are 5 `folds`, in 1 of `repeats`. Raises UsageError when the data
    has splits, or other folds than those asked for.
    """
    require_seed(seed)
    found = without_splits(data if isinstance(data, Dataset) else read(data), duplicates, max_pixels)
    assigned = given_folds(found.dataset)
    if assigned is None:
        number, times = FOLDS if folds is None else folds, 1 if repeats is None else repeats
        assigned = assign_folds(found.dataset, found.units, folds=number, repeats=times, seed=seed)
    elif folds not in (None, assigned.max()) or repeats not in (None, assigned.shape[1]):
        raise UsageError(
            f"the data has {assigned.shape[1]} columns of {assigned.max()} folds, and {repeats or 1} of {folds} are "
            "requested: leave one or the other out."
        )
    return each_fold(with_folds(found.dataset, assigned), assigned, found.units, seed=seed)
