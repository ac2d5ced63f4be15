"""Images split and dealt out to folds: those that show the same stay together."""

from collections.abc import Iterator, Mapping

from linnaea.data.images.greys import recipe_for
from linnaea.data.splits import assign_folds, each_fold, given_folds, with_folds
from linnaea.dataset import Dataset
from linnaea.errors import UsageError
from linnaea.experiments.preparation import Usable, prepare, usable
from linnaea.options import Preparation

FOLDS = 5
SIZE = 64  # of the images that duplicates are looked for in


def split_images(
    dataset: Dataset,
    preparation: Preparation,
    seed: int,
    *,
    fractions: Mapping[str, float] | None = None,
    folds: int | None = None,
    repeats: int = 1,
) -> Dataset:
    """The dataset with splits or, where `folds` are asked for, with folds; see `linnaea.split`."""
    if folds is None:
        if repeats != 1:
            raise UsageError(f"repeats is {repeats} without folds: say how many folds, or leave it out.")
        recipe = recipe_for(dataset.paths, SIZE, max_pixels=preparation.max_pixels, channels=preparation.channels)
        by, duplicates = preparation.split_by, preparation.duplicates
        return prepare(dataset, recipe, seed=seed, split_by=by, fractions=fractions, duplicates=duplicates).dataset
    if fractions is not None or preparation.split_by != "stratified":
        raise UsageError("folds are stratified and of equal size: leave out the fractions and the way to split.")
    found = without_splits(dataset, preparation)
    return with_folds(found.dataset, assign_folds(found.dataset, found.units, folds=folds, repeats=repeats, seed=seed))


def folds_of(
    dataset: Dataset, preparation: Preparation, seed: int, *, folds: int | None = None, repeats: int | None = None
) -> Iterator[Dataset]:
    """A dataset for each fold of each repeat; see `linnaea.folds`."""
    found = without_splits(dataset, preparation)
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


def without_splits(dataset: Dataset, preparation: Preparation) -> Usable:
    """The readable images of a dataset for folds; raises UsageError where it has splits already."""
    if dataset.has("split"):
        raise UsageError(
            f"{dataset.root} has splits already, and folds would mix their test images into training: give images "
            "without splits."
        )
    recipe = recipe_for(dataset.paths, SIZE, max_pixels=preparation.max_pixels, channels=preparation.channels)
    return usable(dataset, recipe, duplicates=preparation.duplicates)
