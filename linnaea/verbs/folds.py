"""`folds`: datasets for cross-validation."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from linnaea.options import Labelled, Machine, Only, Option, Preparation
from linnaea.verbs.contract import VERBS

if TYPE_CHECKING:
    from linnaea.dataset import Dataset


@VERBS.register(
    "folds", title="Folds", meaning="Datasets for cross-validation, one for each fold.", order=22, command=False
)
def folds(
    data: Labelled,
    *,
    folds: Annotated[int | None, Option("Number of folds. Default: those that the data has, else 5.")] = None,
    repeats: Annotated[int | None, Option("How many times to draw them. Default: as the data has, else 1.")] = None,
    preparation: Annotated[Preparation, Only("duplicates", "max_pixels", "channels")] = Preparation(),
    machine: Annotated[Machine, Only("seed")] = Machine(),
) -> "Iterator[Dataset]":
    """Datasets for cross-validation: each fold of each repeat is once test, val comes out of the rest, the rest trains.

    Repeat by repeat, and fold by fold in each; duplicates and groups are never apart. Folds that the data names in
    columns `fold_1`, ... are kept, otherwise there are 5 `folds`, in 1 of `repeats`. Raises UsageError when the data
    has splits, or other folds than those asked for.
    """
    from linnaea.data.sources import read
    from linnaea.dataset import Dataset
    from linnaea.experiments.splitting import folds_of

    dataset = data if isinstance(data, Dataset) else read(data)
    return folds_of(dataset, preparation, machine.seed, folds=folds, repeats=repeats)
