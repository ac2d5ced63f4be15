"""Images that are the same image: the same bytes, or nearly the same pixels."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from linnaea.arrays import Images
from linnaea.data.duplicates.similarity import similar_pairs, unit
from linnaea.data.duplicates.verdicts import Judge, Pair
from linnaea.dataset import Dataset

Groups = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.floating]
THUMBNAIL = 32
COARSE = 8
CUTS = (0.0, 0.03, 0.05)  # of each side: an image is also looked for among the middles of others
ALIKE = 0.9  # cosine similarity of coarse images that is worth a closer look
WHITENED_ALIKE = 0.76  # the same, once what all images here have in common counts less
WHITENING = 0.35
ENOUGH_TO_WHITEN = 500
MOST_PAIRS = 4  # per image are looked at closely, the most similar ones,
FEW_PAIRS = 10_000  # and so many in any case
AT_ONCE = 8192
FEWEST_AT_ONCE, VIEWED_AT_ONCE = 32, 256
PATIENCE = 3_000  # pairs in a row that are not the same in detail; those to come are less similar still
FLAT = 4.0  # images whose thumbnails vary less than this, in grey levels, have no structure to compare


def duplicate_groups(
    thumbnails: Images, sha256: Sequence[str], look: Callable[[int], Images] | None = None
) -> tuple[Groups, bool]:
    """A group number per image (N,), equal for copies of one image, and whether all were compared.

    Files with equal bytes are duplicates; so are, where `look` gives the image (S, S, 3) of a row at its own
    resolution, those that differ by no more than a copy does: of the `thumbnails` (N, 32, 32, 3) that are similar when
    coarse (each against the others and their middles, all pairs) and lie over one another, `same_in_detail` decides.
    Where more pairs than a few per image are similar, only the most similar ones are looked at. All members of a group
    are the same as one of them. Groups are independent of the order of the images up to numbering.
    """
    contents, first, content_of = np.unique(np.array(sha256, dtype=str), return_index=True, return_inverse=True)
    if look is None or len(contents) < 2:
        return content_of, True
    judge = Judge(thumbnails[first], contents.tolist(), lambda row: look(int(first[row])))
    pairs, complete = _near(thumbnails[first], judge)
    return _represented(pairs, len(contents), judge)[content_of], complete


def largest_group(groups: Groups) -> int:
    """The number of images in the largest group; 0 without images."""
    return int(np.bincount(groups).max(initial=0))


def merge_groups(*labels: Sequence[object]) -> Groups:
    """Join several groupings of the same rows: rows that share any group end up in one. None groups nothing."""
    return _connected([pair for column in labels for pair in _equal(column)], len(labels[0]))


def kept_together(dataset: Dataset, duplicates: Groups) -> Groups:
    """A number per row (N,), equal where images must never be torn apart: `duplicates` (N,), and all of one `group`."""
    own = [dataset.column("group")] if dataset.has("group") else []
    return merge_groups(duplicates.tolist(), *own)


def _connected(pairs: Collection[Pair], count: int) -> Groups:
    if not pairs:
        return np.arange(count)
    left, right = np.array(list(pairs)).T
    graph = coo_array((np.ones(len(pairs)), (left, right)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _equal(values: Iterable[object]) -> list[tuple[int, int]]:
    first: dict[object, int] = {}
    return [
        (first[value], row)
        for row, value in enumerate(values)
        if value not in (None, "") and first.setdefault(value, row) != row
    ]


def thumbnail_of(image: Image.Image) -> Images:
    """The whole of an RGB image, stretched to (32, 32, 3)."""
    return np.asarray(image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC, reducing_gap=3.0))


def thumbnails_of(images: Images) -> Images:
    """Thumbnails (N, 32, 32, 3) of images (N, S, S, 3) by area averaging, nearest where images are smaller."""
    size = images.shape[1]
    if size == THUMBNAIL:
        return images
    starts = np.minimum(np.linspace(0, size, THUMBNAIL + 1)[:-1].astype(int), size - 1)
    widths = np.diff(np.append(starts, size)).clip(min=1).astype(np.float32)
    out = np.empty((len(images), THUMBNAIL, THUMBNAIL, 3), dtype=np.uint8)
    for begin in range(0, len(images), 256):
        rows = np.add.reduceat(images[begin : begin + 256], starts, axis=1, dtype=np.float32)
        cells = np.add.reduceat(rows, starts, axis=2) / (widths[:, None, None] * widths[:, None])
        out[begin : begin + 256] = cells.round()
    return out


def _near(thumbnails: Images, judge: Judge) -> tuple[dict[Pair, float], bool]:
    """Pairs that are the same, each with what difference remains, and whether all that are similar were looked at.

    The most similar come first; pairs that are connected already are not looked at.
    """
    grey: Vectors = thumbnails.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    rows = np.flatnonzero(grey.std(axis=(1, 2)) > FLAT)
    alike = [(int(rows[one]), int(rows[other])) for one, other in _equal(thumbnails[row].tobytes() for row in rows)]
    pairs = judge.same(alike)
    rows = rows[np.unique(_connected(pairs, len(thumbnails))[rows], return_index=True)[1]]
    if len(rows) < 2:
        return pairs, True
    views, threshold = _coarse_views(grey[rows])
    most = MOST_PAIRS * len(rows) + FEW_PAIRS
    left, right, similarity, floor = similar_pairs(views[0], threshold, others=views[1:], most=most)
    order = np.lexsort((right, left, -similarity))
    for part in np.array_split(order, np.arange(AT_ONCE, len(order), AT_ONCE)):
        if judge.fruitless > PATIENCE:
            return pairs, False
        ends = rows[np.stack([left[part], right[part]], axis=1)]
        closest = [(int(one), int(other)) for one, other in np.sort(ends, axis=1)]
        pairs = _confirmed(judge.alike(_apart(closest, pairs, len(thumbnails))), pairs, judge)
    return pairs, floor == threshold and judge.fruitless <= PATIENCE


def _confirmed(closest: Sequence[Pair], pairs: dict[Pair, float], judge: Judge) -> dict[Pair, float]:
    """The pairs, and those of the closest that are the same in detail; a few at a time, as fewer are still apart."""
    start, count = 0, FEWEST_AT_ONCE
    while start < len(closest) and judge.fruitless <= PATIENCE:
        part = _apart(closest[start : start + count], pairs, len(judge.thumbnails))
        pairs = pairs | judge.same(part)
        start, count = start + count, min(2 * count, VIEWED_AT_ONCE)
    return pairs


def _apart(closest: Sequence[Pair], pairs: Collection[Pair], count: int) -> list[Pair]:
    """Those of the closest that the pairs do not connect."""
    groups = _connected(pairs, count)
    return [(one, other) for one, other in closest if groups[one] != groups[other]]


def _represented(pairs: Mapping[Pair, float], count: int, judge: Judge) -> Groups:
    """A group per row (N,) such that all its members are the same as one of them: the finer one of a close pair.

    A chain, in which each is the same as the next, but not the first as the last, is cut.
    """
    groups, neighbours = np.arange(count), defaultdict(set)
    for one, other in pairs:
        neighbours[one].add(other)
        neighbours[other].add(one)
    settled: set[int] = set()
    for pair in sorted(pairs, key=lambda pair: (pairs[pair], pair)):
        if settled & set(pair):
            continue
        first = judge.finest(pair)
        members = _members(first, neighbours, settled, judge)
        groups[list(members)] = first
        settled |= members
    return groups


def _members(first: int, neighbours: Mapping[int, set[int]], settled: set[int], judge: Judge) -> set[int]:
    """What is the same as the first, among its neighbours, theirs, and those of what is found, and is not settled."""
    members, seen = {first}, {first} | settled
    near = set().union(*(neighbours[row] for row in neighbours[first])) | neighbours[first]
    while new := sorted(near - seen):
        found = judge.same([(min(row, first), max(row, first)) for row in new])
        same = {row for pair in found for row in pair}
        members |= same
        seen.update(new)
        near = set().union(*(neighbours[row] for row in same))
    return members


def _coarse_views(grey: Vectors) -> tuple[list[Vectors], float]:
    """Unit vectors (N, 64) of whole images and of their middles, and the similarity that is worth a closer look.

    In large sets the directions in which all images vary are damped, so that unrelated images are less similar.
    """
    views = [_coarse(grey, cut) for cut in CUTS]
    if len(grey) < ENOUGH_TO_WHITEN:
        return views, ALIKE
    mean = views[0].mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(views[0].T, dtype=np.float64))
    damped = (vectors * np.maximum(values, values.max() * 1e-4) ** -WHITENING).astype(np.float32)
    return [unit((view - mean) @ damped) for view in views], WHITENED_ALIKE


def _coarse(grey: Vectors, cut: float) -> Vectors:
    """The middle of images (N, 32, 32), less `cut` of each side, as 8 x 8 averages of unit length and mean zero."""
    edges = np.linspace(cut, 1 - cut, COARSE + 1) * THUMBNAIL
    places = np.arange(THUMBNAIL)
    overlap = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    average = np.maximum(overlap, 0).astype(np.float32)
    coarse = (average @ grey @ average.T).reshape(len(grey), COARSE**2)
    return unit(coarse - coarse.mean(axis=1, keepdims=True))
