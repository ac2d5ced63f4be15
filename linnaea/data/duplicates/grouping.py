"""Images that are the same image: the same bytes, or nearly the same pixels."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from linnaea.arrays import Images
from linnaea.data.duplicates.mirrored import MOST_ASKED, SURE, limit_of
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
FIRST, AT_ONCE = 1024, 8192
FEWEST_AT_ONCE, VIEWED_AT_ONCE = 32, 256
ENOUGH_TO_DOUBT = 30  # pairs that are the same, if not surely so, before mirror images are asked
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

    The most similar come first; pairs that are connected already are not looked at. Where many are the same, mirror
    images tell how little they may differ.
    """
    grey: Vectors = thumbnails.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    rows = np.flatnonzero(grey.std(axis=(1, 2)) > FLAT)
    alike = [(int(rows[one]), int(rows[other])) for one, other in _equal(thumbnails[row].tobytes() for row in rows)]
    pairs = judge.same(alike)
    rows = rows[np.unique(_connected(pairs, len(thumbnails))[rows], return_index=True)[1]]
    if len(rows) < 2:
        return pairs, True
    views = Views(grey[rows])
    most = MOST_PAIRS * len(rows) + FEW_PAIRS
    left, right, similarity, floor = similar_pairs(views.whole, views.alike, others=views.middles, most=most)
    order = np.lexsort((right, left, -similarity))
    doubted = False
    for part in np.split(order, np.arange(FIRST, len(order), AT_ONCE)):
        if judge.tired:
            return pairs, False
        ends = rows[np.stack([left[part], right[part]], axis=1)]
        closest = [(int(one), int(other)) for one, other in np.sort(ends, axis=1)]
        pairs = _confirmed(judge.alike(_apart(closest, pairs, len(thumbnails))), pairs, judge)
        if not doubted and (doubted := len(_unsure(pairs)) >= ENOUGH_TO_DOUBT):
            judge.limit = _limit(pairs, rows, grey, views, judge)
            pairs = {pair: left for pair, left in pairs.items() if left <= judge.limit}
    return pairs, floor == views.alike and not judge.tired


def _unsure(pairs: Mapping[Pair, float]) -> list[Pair]:
    return [pair for pair, difference in pairs.items() if difference > SURE]


def _limit(pairs: Mapping[Pair, float], rows: Groups, grey: Vectors, views: "Views", judge: Judge) -> float:
    """How little pairs may differ, by the mirror images of some of those that were found, whatever their order."""
    found = sorted({row for pair in _unsure(pairs) for row in pair}, key=lambda row: judge.contents[row])
    place_of = {int(row): place for place, row in enumerate(rows)}
    asked = np.array([place_of[row] for row in found if row in place_of][:MOST_ASKED], dtype=np.int64)
    return limit_of(
        asked,
        views.whole,
        views.of(grey[rows[asked]][:, :, ::-1]),
        judge.thumbnails[rows],
        lambda place: judge.look(int(rows[place])),
        views.alike,
    )


def _confirmed(closest: Sequence[Pair], pairs: dict[Pair, float], judge: Judge) -> dict[Pair, float]:
    """The pairs, and those of the closest that are the same in detail; a few at a time, as fewer are still apart."""
    start, count = 0, FEWEST_AT_ONCE
    while start < len(closest) and not judge.tired:
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


class Views:
    """Unit vectors (N, 64) of whole images and of their middles, and the similarity that is worth a closer look.

    In large sets the directions in which all images vary are damped, so that unrelated images are less similar.
    """

    def __init__(self, grey: Vectors) -> None:
        whole = _coarse(grey, CUTS[0])
        self._damping: tuple[Vectors, Vectors] | None = None
        self.alike = ALIKE
        if len(grey) >= ENOUGH_TO_WHITEN:
            values, vectors = np.linalg.eigh(np.cov(whole.T, dtype=np.float64))
            damped = (vectors * np.maximum(values, values.max() * 1e-4) ** -WHITENING).astype(np.float32)
            self._damping, self.alike = (whole.mean(axis=0), damped), WHITENED_ALIKE
        self.whole = self._damped(whole)
        self.middles = [self.of(grey, cut) for cut in CUTS[1:]]

    def of(self, grey: Vectors, cut: float = 0.0) -> Vectors:
        """Those of images (M, 32, 32), less `cut` of each side."""
        return self._damped(_coarse(grey, cut))

    def _damped(self, view: Vectors) -> Vectors:
        if self._damping is None:
            return view
        mean, damped = self._damping
        return unit((view - mean) @ damped)


def _coarse(grey: Vectors, cut: float) -> Vectors:
    """The middle of images (N, 32, 32), less `cut` of each side, as 8 x 8 averages of unit length and mean zero."""
    edges = np.linspace(cut, 1 - cut, COARSE + 1) * THUMBNAIL
    places = np.arange(THUMBNAIL)
    overlap = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    average = np.maximum(overlap, 0).astype(np.float32)
    coarse = (average @ grey @ average.T).reshape(len(grey), COARSE**2)
    return unit(coarse - coarse.mean(axis=1, keepdims=True))
