"""Folds for cross-validation: every image is tested once per repeat, duplicates and groups in one fold."""

from collections.abc import Iterator

import numpy as np

from linnaea.arrays import Integers
from linnaea.data.splits.assignment import split
from linnaea.data.splits.stratified import deal_evenly
from linnaea.data.splits.units import units_of
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError

COLUMN = "fold_"


def assign_folds(
    dataset: Dataset, groups: Integers | None = None, *, folds: int = 5, repeats: int = 1, seed: int = 0
) -> Integers:
    """The fold of each image in each repeat, shape (N, repeats), 1 to `folds`: stratified, equal `groups` together.

    The same for any order of the rows. Raises UsageError for fewer than two folds or one repeat, DataError for fewer
    units than folds.
    """
    if folds < 2 or repeats < 1:
        raise UsageError(f"folds is {folds} and repeats {repeats}; expected at least 2 folds and 1 repeat.")
    groups = np.arange(len(dataset)) if groups is None else groups
    out = np.empty((len(dataset), repeats), dtype=np.int64)
    for repeat in range(repeats):
        units = units_of(dataset, groups, seed * 1_000_003 + repeat)
        if len(units) < folds:
            raise DataError(
                f"{len(dataset)} images form {len(units)} units that must stay together (duplicates, groups): expected "
                f"at least {folds}, one for each fold."
            )
        out[:, repeat] = units.spread(deal_evenly(dataset, units, folds)) + 1
    return out


def random_folds(groups: Integers, *, folds: int = 5, seed: int = 0) -> Integers:
    """A fold from 0 on for each image (N,), equal `groups` (N,) together; drawn, so that one may be small or empty."""
    return np.random.default_rng(seed).permutation(groups.max() + 1)[groups] % folds


def with_folds(dataset: Dataset, assigned: Integers) -> Dataset:
    """The dataset with a column `fold_1`, `fold_2`, ... for each repeat in `assigned` (N, repeats)."""
    for repeat, column in enumerate(assigned.T.tolist(), 1):
        dataset = dataset.with_column(f"{COLUMN}{repeat}", column)
    return dataset


def given_folds(dataset: Dataset) -> Integers | None:
    """The folds that the columns `fold_1`, `fold_2`, ... name, shape (N, repeats); None where there are none.

    Raises DataError where one is no number from 1 upwards.
    """
    names = [f"{COLUMN}{repeat}" for repeat in range(1, len(dataset.table.column_names) + 1)]
    names = [name for name in names if dataset.has(name)]
    if not names:
        return None
    strange = [
        (name, value) for name in names for value in dataset.column(name) if not str(value).isdigit() or int(value) < 1
    ]
    if strange:
        name, value = strange[0]
        raise DataError(
            f"{len(strange)} values in the fold columns are not folds (first {value!r} in {name}): expected a whole "
            "number from 1 upwards for every image."
        )
    return np.array([[int(value) for value in dataset.column(name)] for name in names], dtype=np.int64).T


def each_fold(
    dataset: Dataset, assigned: Integers, groups: Integers | None = None, *, seed: int = 0
) -> Iterator[Dataset]:
    """The dataset once for each fold of each repeat in `assigned` (N, repeats): that fold is test, val out of the rest.

    Repeat by repeat, and fold by fold in each.
    """
    for column in assigned.T:
        for fold in range(1, int(column.max()) + 1):
            parts = np.where(column == fold, "test", "train").tolist()
            yield split(dataset.with_column("split", parts), groups, seed=seed)
