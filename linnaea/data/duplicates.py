"""Images that are the same picture: the same bytes, or nearly the same pixels."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from linnaea.data.similarity import similar_pairs, unit
from linnaea.dataset import Dataset

Images = npt.NDArray[np.uint8]
Groups = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.floating]
THUMBNAIL = 32
COARSE = 8
CUTS = (0.0, 0.03, 0.05)  # of each side: a picture is also looked for among the middles of others
ALIKE = 0.9  # cosine similarity of coarse pictures that is worth a closer look
WHITENED_ALIKE = 0.76  # the same, once what all pictures here have in common counts less
WHITENING = 0.35
ENOUGH_TO_WHITEN = 500
MOST_PAIRS = 4  # per image are looked at closely, the most similar ones,
FEW_PAIRS = 10_000  # and so many in any case
AT_ONCE = 8192
FLAT = 4.0  # pictures whose thumbnails vary less than this, in grey levels, have no structure to compare


def duplicate_groups(thumbnails: Images, sha256: Sequence[str], *, near: bool = True) -> tuple[Groups, bool]:
    """A group number per image (N,), equal for images that show the same picture, and whether all were compared.

    Files with equal bytes are duplicates; so are, where `near` is asked for, pictures whose `thumbnails`
    (N, 32, 32, 3) agree: those that are similar when coarse (each against the others and their middles, all pairs) are
    laid over one another by `same_picture`. Where more pairs than a few per image are similar, only the most similar
    ones are. Groups are transitive and independent of the order of the images up to numbering.
    """
    pairs, complete = _equal(sha256), True
    if near:
        structured = _spread(thumbnails) > FLAT
        pairs += _equal(row.tobytes() if known else None for row, known in zip(thumbnails, structured, strict=True))
        same, complete = _near(thumbnails, _connected(pairs, len(thumbnails)))
        pairs += same
    return _connected(pairs, len(thumbnails)), complete


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


def _connected(pairs: Sequence[tuple[int, int]], count: int) -> Groups:
    if not pairs:
        return np.arange(count)
    left, right = np.array(pairs).T
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
    """The whole of an RGB picture, stretched to (32, 32, 3)."""
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


def _spread(thumbnails: Images) -> Vectors:
    """How much thumbnails (N, S, S, 3) vary in the colour that varies most (N,), in levels."""
    found = np.empty(len(thumbnails), dtype=np.float32)
    for start in range(0, len(thumbnails), AT_ONCE):
        part = thumbnails[start : start + AT_ONCE].astype(np.float32)
        found[start : start + AT_ONCE] = part.std(axis=(1, 2)).max(axis=1)
    return found


def _near(thumbnails: Images, known: Groups) -> tuple[list[tuple[int, int]], bool]:
    """Pairs that show the same picture, the most similar first, and whether all that are similar were looked at.

    Pairs that are connected already are not looked at.
    """
    from linnaea.data.registration import judge_once

    grey: Vectors = thumbnails.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    rows = np.flatnonzero(grey.std(axis=(1, 2)) > FLAT)
    rows = rows[np.unique(known[rows], return_index=True)[1]]
    if len(rows) < 2:
        return [], True
    views, threshold = _coarse_views(grey[rows])
    most = MOST_PAIRS * len(rows) + FEW_PAIRS
    left, right, similarity, floor = similar_pairs(views[0], threshold, others=views[1:], most=most)
    order = np.lexsort((right, left, -similarity))
    pairs: list[tuple[int, int]] = []
    for part in np.array_split(order, np.arange(AT_ONCE, len(order), AT_ONCE)):
        groups = _connected(pairs, len(thumbnails))
        lefts, rights = rows[left[part]], rows[right[part]]
        apart = groups[lefts] != groups[rights]
        lefts, rights = lefts[apart], rights[apart]
        same = judge_once(thumbnails[lefts], thumbnails[rights])
        pairs += zip(lefts[same].tolist(), rights[same].tolist(), strict=True)
    return pairs, floor == threshold


def _coarse_views(grey: Vectors) -> tuple[list[Vectors], float]:
    """Unit vectors (N, 64) of whole pictures and of their middles, and the similarity that is worth a closer look.

    In large sets the directions in which all pictures vary are damped, so that unrelated pictures are less similar.
    """
    views = [_coarse(grey, cut) for cut in CUTS]
    if len(grey) < ENOUGH_TO_WHITEN:
        return views, ALIKE
    mean = views[0].mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(views[0].T, dtype=np.float64))
    damped = (vectors * np.maximum(values, values.max() * 1e-4) ** -WHITENING).astype(np.float32)
    return [unit((view - mean) @ damped) for view in views], WHITENED_ALIKE


def _coarse(grey: Vectors, cut: float) -> Vectors:
    """The middle of pictures (N, 32, 32), less `cut` of each side, as 8 x 8 averages of unit length and mean zero."""
    edges = np.linspace(cut, 1 - cut, COARSE + 1) * THUMBNAIL
    places = np.arange(THUMBNAIL)
    overlap = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    average = np.maximum(overlap, 0).astype(np.float32)
    coarse = (average @ grey @ average.T).reshape(len(grey), COARSE**2)
    return unit(coarse - coarse.mean(axis=1, keepdims=True))
