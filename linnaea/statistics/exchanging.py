"""Do two samples differ? Statistics as they are, and as they would be had images changed sides by chance.

Under the null hypothesis that all images come from one source in no particular order, each way to put them on two
sides is as likely as the one that was seen: a statistic that is larger than in all but a share of the ways shows a
difference, whatever images and statistic are. Several statistics of the same draws are judged together, so that the
share of false alarms is that of one test, however they depend on each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from linnaea.arrays import Array, Flags, Float32, Floats, Integers
from linnaea.statistics.association import p_of_largest

MOST_BLOCKS = 2_000  # that change sides; of more images several do so together
ENOUGH_BLOCKS = 500  # of each sample, for which the blocks are made smaller
BEYOND = 10  # draws at the least that are as extreme as the rate asks for
MOST_DRAWS = 9_999
LEAST_RATE = 1 / (MOST_DRAWS + 1)  # of false alarms: of so many draws no p-value is smaller
TAIL = 0.1  # of the draws, in which scores go on beyond ranks
AT_ONCE = 2**22  # numbers
PLACES = 64
SAME = 1e-6  # of two values relative to the largest, by which sums in another order may differ


def draws_for(rate: float) -> int:
    """How many draws tell a share of false alarms this small."""
    return int(min(MOST_DRAWS, max(99, round(BEYOND / rate) - 1)))


@dataclass(frozen=True, eq=False)
class Exchange:
    """Which blocks of images stand on the side of the window: as it was seen, and in draws by chance.

    Images are numbered from those of the reference on, of which there are `reference`; `blocks` (G, s) are images that
    change sides together, since each way to do so is also one to exchange single images. `inside` (B + 1, G) is 1 for
    blocks in the window, first as it was. Images that make no whole block are left out.
    """

    blocks: Integers
    inside: Float32
    reference: int

    @classmethod
    def drawn(cls, reference: int, window: int, draws: int, seed: int = 0) -> "Exchange":
        """For samples of these sizes, both 1 or more; of a sample that is much larger, images by chance."""
        size = max(1, min(-(-(reference + window) // MOST_BLOCKS), min(reference, window) // ENOUGH_BLOCKS))
        own, other = reference // size, window // size
        if own + other > MOST_BLOCKS:
            spare = MOST_BLOCKS - min(own, other)
            own, other = (own, min(other, spare)) if own <= other else (min(own, spare), other)
        random = np.random.default_rng(seed)
        rows = [random.permutation(reference)[: own * size], reference + random.permutation(window)[: other * size]]
        return cls(np.concatenate(rows).reshape(-1, size), _sides(own, other, draws, seed), reference)

    @property
    def single(self) -> bool:
        """Whether each image changes sides alone."""
        return bool(self.blocks.shape[1] == 1)

    @property
    def picked(self) -> Integers:
        """One image of each block (G,), for what is too dear to be computed of all."""
        return self.blocks[:, 0]

    def in_order(self) -> "Exchange":
        """The same draws of images in the order of the blocks (G * s,)."""
        rows = np.arange(self.blocks.size).reshape(self.blocks.shape)
        return Exchange(rows, self.inside, self.images[0])

    def of_picked(self) -> "Exchange":
        """The same draws of the picked images alone, numbered anew (G,)."""
        count = len(self.blocks)
        return Exchange(np.arange(count)[:, None], self.inside, count - int(self.inside[0].sum()))

    @property
    def images(self) -> tuple[int, int]:
        """How many images of the reference and of the window take part."""
        size, inside = self.blocks.shape[1], int(self.inside[0].sum())
        return (len(self.blocks) - inside) * size, inside * size

    @cached_property
    def block_of(self) -> Integers:
        """The block of each image (N,), -1 for those left out."""
        found = np.full(int(self.blocks.max()) + 1, -1, dtype=np.int64)
        found[self.blocks] = np.arange(len(self.blocks))[:, None]
        return found

    def totals(self, blocks: Array) -> tuple[Floats, Floats]:
        """What the window and the reference sum up to (B + 1, C), from sums over blocks (G, C)."""
        sums = np.asarray(blocks, dtype=np.float32)
        window = self.inside @ sums
        return window, sums.sum(axis=0, dtype=np.float64).astype(np.float32) - window

    def block_sums(self, columns: Array) -> Float32:
        """Sums over blocks (G, C) of the columns (N, C) of images."""
        return np.asarray(columns[self.blocks].sum(axis=1), dtype=np.float32)

    def mean_differences(self, columns: Floats) -> Floats:
        """The mean of each column (N, C) over the window less that over the reference (B + 1, C); NaN plays no part."""
        known = np.isfinite(columns)
        filled = columns if known.all() else np.where(known, columns, 0.0)
        (own, other), counts = self.totals(self.block_sums(filled)), self.totals(self.block_sums(known))
        return np.asarray(own / np.maximum(counts[0], 1) - other / np.maximum(counts[1], 1))

    def share_differences(self, columns: Floats, places: Floats) -> Floats:
        """The share of the window less that of the reference at or below each place (B + 1, C, P).

        Of the columns (N, C), whose places are (C, P); NaN plays no part.
        """
        values, shape = columns[self.blocks.ravel()], (*self.blocks.shape, -1)
        known = (~np.isnan(values)).reshape(shape).sum(axis=1, dtype=np.float32)
        below = (values[:, :, None] <= places).reshape(shape).sum(axis=1, dtype=np.float32)
        shares = [
            totals.reshape(len(self.inside), *places.shape) / np.maximum(counts, 1)[:, :, None]
            for totals, counts in zip(self.totals(below), self.totals(known), strict=True)
        ]
        return np.asarray(shares[0] - shares[1])

    def contrast(self, known: Flags) -> Float32:
        """Weights (B + 1, G) of picked images whose sum is a mean of the window less one of the reference.

        `known` (G,) are those that play a part.
        """
        own = self.inside * known
        other = known - own
        counts = [np.maximum(side.sum(axis=1, keepdims=True), 1) for side in (own, other)]
        return np.asarray(own / counts[0] - other / counts[1], dtype=np.float32)


@lru_cache(maxsize=4)
def _sides(own: int, other: int, draws: int, seed: int) -> Float32:
    """1 for the blocks that are in the window (B + 1, G), first the last `other` ones."""
    random = np.random.default_rng((seed, 1))
    inside = np.zeros((draws + 1, own + other), dtype=np.float32)
    inside[0, own:] = 1
    if own and other:
        chosen = np.argpartition(random.random((draws, own + other), dtype=np.float32), other - 1, axis=1)[:, :other]
        np.put_along_axis(inside[1:], chosen, np.float32(1), axis=1)
    return inside


def distribution_distances(exchange: Exchange, columns: Floats, places: int = PLACES) -> Floats:
    """The largest difference of the distributions of each column (N, C), of Kolmogorov and Smirnov (B + 1, C).

    They are compared at so many places less one, quantiles of both samples together; NaN plays no part.
    """
    draws, used = len(exchange.inside), exchange.blocks.ravel()
    step, found = max(1, AT_ONCE // (max(draws, len(used)) * places)), []
    for start in range(0, columns.shape[1], step):
        some = columns[:, start : start + step]
        differences = exchange.share_differences(some, quantiles_of(some[used], places))
        found.append(np.abs(differences, out=differences).max(axis=2))
    return np.concatenate(found, axis=1) if found else np.zeros((draws, 0))


def quantiles_of(values: Floats, places: int) -> Floats:
    """What parts each column (n, C) into so many places of about as many values (C, places - 1); NaN is left out."""
    order, count = np.sort(values, axis=0), np.sum(~np.isnan(values), axis=0)
    ranks = np.ceil(np.arange(1, places) / places * count[:, None]).astype(np.int64) - 1
    return np.asarray(np.take_along_axis(order.T, np.maximum(ranks, 0), axis=1))


def p_of_first(values: Floats) -> float:
    """The p-value of the first of the values (B + 1,): the share of all that are as large; NaN counts as none."""
    return float(np.mean(values >= values[0] - SAME * np.abs(values).max()))


def tail_scores(values: Floats) -> Floats:
    """How rare each value (B + 1, C) is within its column, as the negative logarithm of a p-value; large is rare.

    In the upper tenth the share that is larger is taken to fall exponentially, so that values beyond all others are
    still told apart. All rows are treated alike, so that what is a draw by chance stays one.
    """
    values = np.asarray(values, dtype=np.float64)
    count = len(values)
    order = np.sort(values, axis=0)
    threshold = order[count - max(1, round(TAIL * count)) - 1]
    slack = SAME * np.abs(values).max(axis=0)
    excess = np.maximum(values - threshold - slack, 0.0)
    beyond = (excess > 0).sum(axis=0)
    mean = excess.sum(axis=0) / np.maximum(beyond, 1)
    ranks = np.empty_like(values)
    for column in range(values.shape[1]):
        ranks[:, column] = count - np.searchsorted(order[:, column], values[:, column] - slack[column], side="left")
    tail = -np.log(np.maximum(beyond, 1) / count) + excess / np.where(mean > 0, mean, 1.0)
    return np.where(excess > 0, tail, -np.log(ranks / count))


def rarest(values: Floats) -> Floats:
    """The largest of the scores of the columns (B + 1, C), in each row (B + 1,); zeros where there is no column."""
    return tail_scores(values).max(axis=1) if values.shape[1] else np.zeros(len(values))


@dataclass(frozen=True)
class Joint:
    """What several statistics say together: `p` of no difference at all, `adjusted` (T,) that of each, corrected.

    Whatever the statistics and their dependence, `p` is below a rate in this share of samples where nothing differs
    (Westfall and Young 1993).
    """

    p: float
    adjusted: Floats


def judge_jointly(values: Sequence[Floats]) -> Joint:
    """What statistics say, each given as it was seen and in the same draws (B + 1,); p is 1 where there is none."""
    if not values:
        return Joint(1.0, np.zeros(0))
    scores = tail_scores(np.stack(values, axis=1))
    adjusted = p_of_largest(scores[0], scores[1:].max(axis=1))
    return Joint(float(adjusted.min()), adjusted)
