"""Units: images that must never lie in two parts, and how many images of each class they hold."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array

from linnaea.arrays import Integers
from linnaea.dataset import Dataset


@dataclass(frozen=True)
class Units:
    """Whole units of rows, numbered from the largest on: `of` each row (N,), and `counts` (U, K) of each class, sparse.

    Images without any label have a class of their own, the last. The numbers depend on the size, the content and the
    seed, never on the order of the rows.
    """

    of: Integers
    counts: csr_array

    def __len__(self) -> int:
        return int(self.counts.shape[0])

    @property
    def sizes(self) -> Integers:
        """Images per unit, shape (U,)."""
        return np.bincount(self.of, minlength=len(self))

    @property
    def totals(self) -> list[int]:
        """Images of each class, over all units."""
        totals: list[int] = np.asarray(self.counts.sum(axis=0)).ravel().tolist()
        return totals

    def contents(self) -> Iterator[list[tuple[int, int]]]:
        """For each unit, its classes, each with the number of images."""
        starts, classes, images = (
            part.tolist() for part in (self.counts.indptr, self.counts.indices, self.counts.data)
        )
        for begin, end in pairwise(starts):
            yield list(zip(classes[begin:end], images[begin:end], strict=True))

    def spread(self, parts: Sequence[int]) -> Integers:
        """The part of each row (N,), given the part of each unit."""
        return np.array(parts, dtype=np.int64)[self.of]


def units_of(dataset: Dataset, groups: Integers, seed: int) -> Units:
    """The units of a dataset, rows of equal `groups` (N,) being one; `seed` decides among units of equal size."""
    found, unit, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    first = np.full(len(found), len(groups))
    np.minimum.at(first, unit, _places(dataset, seed))
    number = np.empty(len(found), dtype=np.int64)
    number[np.lexsort((first, -sizes))] = np.arange(len(found))
    of = number[unit]
    gather = csr_array((np.ones(len(of), dtype=np.int64), (of, np.arange(len(of)))), shape=(len(found), len(of)))
    counts = csr_array(gather @ _memberships(dataset))
    counts.sort_indices()
    return Units(of, counts)


def _places(dataset: Dataset, seed: int) -> Integers:
    """A random-looking place for each row, by the seed and the content; the path decides between equal contents."""
    paths = dataset.ids
    contents = dataset.column("sha256") if dataset.has("sha256") else paths
    keys = [
        (hashlib.sha256(f"{seed}:{content or path}".encode()).digest(), path)
        for content, path in zip(contents, paths, strict=True)
    ]
    places = np.empty(len(keys), dtype=np.int64)
    places[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
    return places


def _memberships(dataset: Dataset) -> csr_array:
    """One where an image carries a class, with a last column for images that carry none, shape (N, K + 1)."""
    index = {name: number for number, name in enumerate(dataset.classes)}
    lists = [[index[name] for name in set(labels)] or [len(index)] for labels in dataset.label_lists]
    starts = np.cumsum([0, *map(len, lists)])
    classes = np.fromiter((number for numbers in lists for number in numbers), dtype=np.int64, count=starts[-1])
    return csr_array((np.ones(len(classes), dtype=np.int64), classes, starts), shape=(len(lists), len(index) + 1))
