"""`split`: who learns from which images, and who is judged by which."""

from collections.abc import Mapping
from pathlib import Path

from linnaea.data.images.greys import recipe_for
from linnaea.data.sources import read
from linnaea.data.splits import SPLITTERS, assign_folds, with_folds
from linnaea.dataset import Dataset
from linnaea.errors import UsageError
from linnaea.experiments.preparation import prepare
from linnaea.experiments.splitting import SIZE, without_splits
from linnaea.runtime.arguments import require_seed


def split(
    data: str | Path | Dataset,
    *,
    split_by: str = "stratified",
    fractions: Mapping[str, float] | None = None,
    folds: int | None = None,
    repeats: int = 1,
    duplicates: str = "near",
    max_pixels: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Split images into train, val and test, duplicates and groups never apart. Returns the dataset.

    `split_by` names a splitter: "stratified" (by class; images with several labels by each of them), "time" (the
    oldest into train, the youngest into test) or "iterative". With `folds` the dataset gets columns `fold_1`, ... of
    numbers from 1 to `folds`, one for each of the `repeats`, instead of a split. Splits that are given are kept. Images
    of more than `max_pixels` (None: 50 megapixels) are not decoded.
    """
    SPLITTERS[split_by]
    require_seed(seed)
    dataset = data if isinstance(data, Dataset) else read(data)
    if folds is None:
        if repeats != 1:
            raise UsageError(f"repeats is {repeats} without folds: say how many folds, or leave it out.")
        recipe = recipe_for(dataset.paths, SIZE, max_pixels=max_pixels)
        return prepare(
            dataset, recipe, seed=seed, split_by=split_by, fractions=fractions, duplicates=duplicates
        ).dataset
    if fractions is not None or split_by != "stratified":
        raise UsageError("folds are stratified and of equal size: leave out the fractions and the way to split.")
    found = without_splits(dataset, duplicates, max_pixels)
    return with_folds(found.dataset, assign_folds(found.dataset, found.units, folds=folds, repeats=repeats, seed=seed))
