"""Verdicts on pairs of images, first when small, then in detail; each is reached once and remembered."""

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from linnaea.arrays import Float32, Images
from linnaea.data.duplicates import alignment, sameness
from linnaea.runtime.cache import cached

Pair = tuple[int, int]
WORTH_KEEPING = 4  # verdicts that take longer to reach than to look up
VIEWS_KEPT = 256
PATIENCE = 3_000  # pairs that are looked at in detail, the most similar first,
EARNED = 30  # and so many more for each that is the same


class Judge:
    """What is the same among images of known content: by their thumbnails (N, 32, 32, 3), and by looking at them.

    `look` gives the image (S, S, 3) of a row at its own resolution. Pairs that differ by no more than `limit` are the
    same.
    """

    def __init__(self, thumbnails: Images, sha256: Sequence[str], look: Callable[[int], Images]) -> None:
        self.thumbnails, self.contents, self.limit = thumbnails, sha256, sameness.MOST
        self.look = lru_cache(VIEWS_KEPT)(look)
        self._known: dict[Pair, float] = {}
        self._looks = PATIENCE

    @property
    def tired(self) -> bool:
        """Whether so many pairs were looked at for so few that were the same that those to come are not worth it."""
        return self._looks < 0

    def alike(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Those of the pairs that may be the same, as far as thumbnails tell."""
        return [pair for pair, apart in zip(pairs, self._judged("alike", pairs, self._apart), strict=True) if not apart]

    def same(self, pairs: Sequence[Pair]) -> dict[Pair, float]:
        """Those of the pairs that are the same in detail, each with the difference that remains."""
        new = [pair for pair in pairs if pair not in self._known]
        self._known.update(zip(new, self._judged("same", new, self._differences), strict=True))
        found = {pair: self._known[pair] for pair in pairs if self._known[pair] <= self.limit}
        self._looks += EARNED * sum(pair in found for pair in new) - len(new)
        return found

    def finest(self, pair: Pair) -> int:
        """The row of the one that has more pixels, the first where both have as many."""
        return max(pair, key=lambda row: len(self.look(row)))

    def _apart(self, pairs: Sequence[Pair]) -> Float32:
        left, right = (self.thumbnails[list(side)] for side in zip(*pairs, strict=True))
        return 1 - alignment.agree_when_small(left, right).astype(np.float32)

    def _differences(self, pairs: Sequence[Pair]) -> Float32:
        left, right = ([self.look(row) for row in side] for side in zip(*pairs, strict=True))
        return sameness.differences(left, right)

    def _judged(
        self, question: str, pairs: Sequence[Pair], measure: Callable[[Sequence[Pair]], Float32]
    ) -> list[float]:
        """A measure of each pair; several are measured once and remembered, as it depends on nothing but the two."""
        if len(pairs) < WORTH_KEEPING:
            return list(map(float, measure(pairs))) if pairs else []
        found = np.zeros((len(pairs), 1), dtype=np.float32)
        namespace, names = f"{question} {_version()}", [self._name(pair) for pair in pairs]
        nothing = np.zeros(len(pairs), dtype=bool)
        known = cached(lambda store: store.find(namespace, names, found), otherwise=nothing)
        new = np.flatnonzero(~known).tolist()
        if new:
            found[new, 0] = measure([pairs[row] for row in new])
            cached(lambda store: store.add(namespace, [names[row] for row in new], found[new]), otherwise=None)
        return list(map(float, found[:, 0]))

    def _name(self, pair: Pair) -> str:
        """The same for the two in either order; a thumbnail also tells how the image became square."""
        each = sorted(self.contents[row].encode() + self.thumbnails[row].tobytes() for row in pair)
        return hashlib.sha256(b"".join(each)).hexdigest()


@lru_cache
def _version() -> str:
    """Twelve digits that change with whatever decides about a verdict: the source, and torch."""
    sources = b"".join(Path(str(module.__file__)).read_bytes() for module in (alignment, sameness))
    return hashlib.sha256(sources + torch.__version__.encode()).hexdigest()[:12]
