"""Every pair of similar vectors, exactly: blocked products in the number format the processor multiplies fastest."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from linnaea.arrays import Integers
from linnaea.runtime.machine import has_bfloat16

Vectors = npt.NDArray[np.float32]
BLOCK = 1024
WORTH_REDUCING = 256  # dimensions from which products cost more than looking through them
COARSE_ERROR = 0.008  # bound on what bfloat16 changes in a product of unit vectors: 2^-8 of the factors, 2^-9 of it
AT_ONCE = 2**19


class Pairs:
    """Pairs of rows found so far, at most about `most` of them: the closest, all above `floor`."""

    def __init__(self, floor: float, most: float) -> None:
        self.floor, self.most = floor, most
        self._left: list[Tensor] = []
        self._right: list[Tensor] = []
        self._similarity: list[Tensor] = []
        self._held = 0

    def add(self, left: Tensor, right: Tensor, similarity: Tensor) -> None:
        """Take in more pairs; once there are twice too many, the least similar are dropped and the floor rises."""
        for held, new in ((self._left, left), (self._right, right), (self._similarity, similarity)):
            held.append(new)
        self._held += len(left)
        if self._held > 2 * self.most:
            left, right, similarity = self.collect()
            kept = similarity.topk(int(self.most)).indices
            self._left, self._right, self._similarity = [left[kept]], [right[kept]], [similarity[kept]]
            self.floor, self._held = float(similarity[kept].min()), len(kept)

    def collect(self) -> tuple[Tensor, Tensor, Tensor]:
        """Left rows, right rows and similarity of all pairs that are held."""
        if not self._left:
            return torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0)
        return torch.cat(self._left), torch.cat(self._right), torch.cat(self._similarity)


def similar_pairs(
    vectors: Vectors, threshold: float, *, others: Sequence[Vectors] = (), most: float = np.inf
) -> tuple[Integers, Integers, Vectors, float]:
    """The pairs left < right whose cosine similarity reaches the threshold, their similarity, and the floor under it.

    `vectors` (N, D) are of unit length, as are `others`: further views (N, D) of the same things; a pair is then
    similar when either is similar to another view of the other. Where more than `most` pairs are, the most similar
    are given, and the floor is above the threshold. Where the processor multiplies bfloat16 in hardware, candidates are
    found in it with room for its rounding and computed again in float32: no pair is lost or invented. Time grows with
    N^2 D, memory with N D.
    """
    found = Pairs(threshold, most)
    exact = _tensor(vectors)
    for view in [exact, *map(_tensor, others)]:
        for left, right in _candidates(exact, view, found):
            similarity = (exact[left] * view[right]).sum(dim=1)
            close = similarity >= found.floor
            if close.any():
                low, high = torch.minimum(left[close], right[close]), torch.maximum(left[close], right[close])
                found.add(low, high, similarity[close])
    return *_distinct(*found.collect(), len(vectors)), found.floor


def unit(vectors: npt.NDArray[np.floating]) -> Vectors:
    """The rows (N, D) at length one; a row of zeros stays."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), dtype=np.float32)


def _candidates(exact: Tensor, view: Tensor, found: Pairs) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows of `exact` and of `view` that may be similar: each pair once where the view is the same, else both ways."""
    reduced = exact.shape[1] >= WORTH_REDUCING and has_bfloat16("cpu")
    rows, columns = (exact.bfloat16(), view.bfloat16()) if reduced else (exact, view)
    for start in range(0, len(rows), BLOCK):
        for begin in range(start if view is exact else 0, len(columns), 2 * BLOCK):
            products = rows[start : start + BLOCK] @ columns[begin : begin + 2 * BLOCK].T
            floor = found.floor - COARSE_ERROR * reduced
            left, right = _at_least(products, floor)
            left, right = left + start, right + begin
            apart = left < right if view is exact else left != right
            left, right = left[apart], right[apart]
            for part in range(0, len(left), AT_ONCE):
                yield left[part : part + AT_ONCE], right[part : part + AT_ONCE]


def _at_least(products: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """Where products reach the floor: the maximum of rows is found faster than their places, and of integers fastest.

    Above zero the bits of a bfloat16, read as an integer, are in the order of the numbers.
    """
    keys, least = (products, floor) if products.dtype == torch.float32 or floor <= 0 else _as_integers(products, floor)
    hits = (keys.amax(dim=1) >= least).nonzero()[:, 0]
    left, right = (keys[hits] >= least).nonzero(as_tuple=True)
    return hits[left], right


def _as_integers(products: Tensor, floor: float) -> tuple[Tensor, int]:
    """The bits of bfloat16 products, and those of the largest bfloat16 that is not above the floor."""
    nearest = torch.tensor(floor, dtype=torch.bfloat16)
    bits = int(nearest.view(torch.int16))
    return products.view(torch.int16), bits - (float(nearest) > floor)


def _distinct(left: Tensor, right: Tensor, similarity: Tensor, count: int) -> tuple[Integers, Integers, Vectors]:
    """Each pair once, with its highest similarity, sorted."""
    order = similarity.argsort(descending=True, stable=True).numpy()
    pairs, first = np.unique((left * count + right).numpy()[order], return_index=True)
    return pairs // max(count, 1), pairs % max(count, 1), similarity.numpy()[order][first]


def _tensor(vectors: Vectors) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))
