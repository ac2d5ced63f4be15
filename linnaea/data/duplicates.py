"""Images that are the same picture: the same bytes, or nearly the same pixels."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Images = npt.NDArray[np.uint8]
Groups = npt.NDArray[np.int64]
THUMBNAIL = 16
HASH_SIDE = 8
BANDS = 4
NEAR = 2.5  # mean absolute difference of thumbnails, in grey levels of 255
LOCAL = 24.0  # largest difference anywhere in thumbnails of twice the side, in grey levels
FLAT = 4.0  # pictures whose thumbnails vary less than this have no structure to compare
CROWDED = 64  # a bucket this full holds a common hash, which says nothing; only its closest neighbours are compared


def duplicate_groups(images: Images, sha256: Sequence[str], *, near: bool = True) -> Groups:
    """A group number per image (N,), equal for images that show the same picture.

    `images` (N, S, S, 3). Files with equal bytes are duplicates; so are, where `near` is asked for, pictures whose
    64-bit perceptual hashes (Zauner 2010, DCT) agree in one of four bands, whose 16 x 16 thumbnails differ by less
    than 2.5 of 255 grey levels on average, and whose 32 x 32 thumbnails differ by less than 24 anywhere. Groups are
    transitive and independent of the order of the images up to numbering.
    """
    if len(images) < 2:
        return np.arange(len(images))
    return _connected([*_equal(sha256), *(_near(_thumbnails(images)) if near else ())], len(images))


def largest_group(groups: Groups) -> int:
    """The number of images in the largest group; 0 without images."""
    return int(np.bincount(groups).max(initial=0))


def merge_groups(*labels: Sequence[object]) -> Groups:
    """Join several groupings of the same rows: rows that share any group end up in one. None groups nothing."""
    return _connected([pair for column in labels for pair in _equal(column)], len(labels[0]))


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


def _thumbnails(images: Images) -> npt.NDArray[np.float32]:
    """Grey thumbnails (N, 2 * THUMBNAIL, 2 * THUMBNAIL) by area averaging, nearest where images are smaller."""
    side = 2 * THUMBNAIL
    size = images.shape[1]
    edges = np.linspace(0, size, side + 1)
    starts = np.minimum(edges[:-1].astype(int), size - 1)
    out = np.empty((len(images), side, side), dtype=np.float32)
    for begin in range(0, len(images), 1024):
        grey = images[begin : begin + 1024] @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        widths = np.diff(np.append(starts, size)).clip(min=1).astype(np.float32)
        rows = np.add.reduceat(grey, starts, axis=1) / widths[:, None]
        out[begin : begin + 1024] = np.add.reduceat(rows, starts, axis=2) / widths
    return out


def _near(thumbnails: npt.NDArray[np.float32]) -> list[tuple[int, int]]:
    small = thumbnails.reshape(-1, THUMBNAIL, 2, THUMBNAIL, 2).mean(axis=(2, 4)).reshape(len(thumbnails), -1)
    structured = small.std(axis=1) > FLAT
    pairs: list[tuple[int, int]] = []
    for bucket in _buckets(_hashes(thumbnails), structured):
        members = np.array(bucket)[np.argsort(small[bucket].mean(axis=1), kind="stable")]
        for offset in range(1, min(len(members), CROWDED)):
            gap = np.abs(small[members[offset:]] - small[members[:-offset]]).mean(axis=1)
            close = np.flatnonzero(gap < NEAR)
            found = zip(members[close].tolist(), members[close + offset].tolist(), strict=True)
            pairs += [(left, right) for left, right in found if _alike(thumbnails[left], thumbnails[right])]
    return pairs


def _alike(left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]) -> bool:
    """Whether two pictures differ little everywhere: a scratch on the same product is another picture."""
    return bool(np.abs(left - right).max() < LOCAL)


def _hashes(thumbnails: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    low = dctn(thumbnails, axes=(1, 2))[:, :HASH_SIDE, :HASH_SIDE].reshape(len(thumbnails), -1)
    bits: npt.NDArray[np.bool_] = low > np.median(low[:, 1:], axis=1, keepdims=True)
    return bits


def _buckets(bits: npt.NDArray[np.bool_], structured: npt.NDArray[np.bool_]) -> list[list[int]]:
    keys = np.packbits(bits, axis=1).reshape(len(bits), BANDS, -1)
    found: list[list[int]] = []
    for band in range(BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for row in np.flatnonzero(structured).tolist():
            buckets[keys[row, band].tobytes()].append(row)
        found += [bucket for bucket in buckets.values() if len(bucket) > 1]
    return found
