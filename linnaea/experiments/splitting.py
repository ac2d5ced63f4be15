"""What the verbs about splits share: images that are not split yet, and which of them show the same."""

from linnaea.data.images.greys import recipe_for
from linnaea.dataset import Dataset
from linnaea.errors import UsageError
from linnaea.experiments.preparation import Usable, usable

SIZE = 64  # of the images that duplicates are looked for in


def without_splits(dataset: Dataset, duplicates: str, max_pixels: int | None) -> Usable:
    """The readable images of a dataset for folds; raises UsageError where it has splits already."""
    if dataset.has("split"):
        raise UsageError(
            f"{dataset.root} has splits already, and folds would mix their test images into training: give images "
            "without splits."
        )
    return usable(dataset, recipe_for(dataset.paths, SIZE, max_pixels=max_pixels), duplicates=duplicates)
