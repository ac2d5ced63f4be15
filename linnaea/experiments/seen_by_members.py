"""Which images of a run are left to calibrate on and to judge by, where other runs are combined with it."""

import logging
from collections.abc import Sequence

import numpy as np

from linnaea.arrays import Integers, in_colours
from linnaea.data.duplicates.grouping import merge_groups, thumbnails_of
from linnaea.data.duplicates.sameness import viewer
from linnaea.data.images.pixels import Recipe
from linnaea.data.images.streamed import decoded_or_streamed, in_chunks
from linnaea.dataset import Dataset
from linnaea.errors import DataError
from linnaea.experiments.preparation import group_duplicates
from linnaea.run import Run
from linnaea.runtime.containers import Located
from linnaea.runtime.words import counted

SEEN = ("train", "val", "test")  # the most first
logger = logging.getLogger("linnaea")


def left_of(runs: Sequence[Run], recipe: Recipe, duplicates: str) -> Dataset:
    """The images of the first run, each in the split of those it is in of all runs that has seen most of it.

    What any member trained on is train, what any was calibrated on val; and so is what looks nearly the same as such an
    image (`duplicates` "near"), or is of one `group` with it. Raises DataError where that leaves no val.
    """
    datasets = [run.dataset() for run in runs]
    own = datasets[0]
    splits = _splits(datasets, recipe, duplicates)
    left = own.with_column("split", splits)
    moved = sum(before != now for before, now in zip(own.column("split"), splits, strict=True))
    if not len(left.split("val")):
        raise DataError(
            "no image is left to calibrate on that no member trained on, itself, a near-duplicate or another of its "
            "group: the runs split the same images differently. Train them with the same --split-seed."
        )
    if moved:
        logger.warning(
            f"{moved} of {len(own)} images of {runs[0].folder.name} were seen by another member in a split that counts "
            "for more, themselves, as near-duplicates or as others of their group; "
            f"{len(left.split('val'))} are left to calibrate on and {len(left.split('test'))} to judge by."
        )
    return left


def _splits(datasets: Sequence[Dataset], recipe: Recipe, duplicates: str) -> list[str]:
    """The split of each image of the first data set, by all that was seen of it or of what must stay with it."""
    contents = [content for dataset in datasets for content in dataset.column("sha256")]
    given = [split for dataset in datasets for split in dataset.column("split")]
    count = len(datasets[0])
    if _all_alike(datasets):
        return given[:count]
    named = [name for dataset in datasets for name in _groups(dataset)]
    looks = _looks(datasets, contents, recipe, duplicates).tolist()
    units = merge_groups(contents, named, looks)
    seen = np.full(int(units.max()) + 1, len(SEEN), dtype=np.int64)
    np.minimum.at(seen, units, [SEEN.index(split) for split in given])
    return [SEEN[place] for place in seen[units[:count]].tolist()]


def _all_alike(datasets: Sequence[Dataset]) -> bool:
    """Whether all have the same images in the same splits, so that nothing was seen but by whom it is known."""
    known = [dict(zip(one.column("sha256"), one.column("split"), strict=True)) for one in datasets]
    return all(other == known[0] for other in known[1:])


def _groups(dataset: Dataset) -> list[object]:
    return dataset.column("group") if dataset.has("group") else [None] * len(dataset)


def _looks(datasets: Sequence[Dataset], contents: Sequence[str], recipe: Recipe, duplicates: str) -> Integers:
    """A number per image of all data sets (M,), equal for those that look nearly the same."""
    paths: list[Located] = [path for dataset in datasets for path in dataset.paths]
    _, first, content_of = np.unique(np.array(contents, dtype=str), return_index=True, return_inverse=True)
    chosen = [paths[row] for row in first.tolist()]
    decoded, _ = decoded_or_streamed(chosen, recipe)
    lost = sorted(decoded.failed)
    if lost:
        logger.warning(
            f"{counted(len(lost), 'image')} of the members can no longer be read (first {chosen[lost[0]]}): whether "
            "others look nearly the same is not known."
        )
    there = np.setdiff1d(np.arange(len(chosen)), lost)
    kept = decoded.kept()
    numbers = len(chosen) + np.arange(len(chosen))  # of those that cannot be compared, each its own
    if len(there):
        thumbnails = np.concatenate([thumbnails_of(in_colours(part)) for part in in_chunks(kept.images)])
        look = viewer([chosen[row] for row in there.tolist()], recipe)
        numbers[there] = group_duplicates(thumbnails, kept.sha256, duplicates, look)[0]
    return np.asarray(numbers[content_of], dtype=np.int64)
