"""Where on an image the mass of a map lies, and whether that of some images lies elsewhere than that of others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from linnaea.arrays import Flags, Floats
from linnaea.evidence.explanation.black_box.regions import squares
from linnaea.statistics.association import p_of_largest

ALONG = 3
PLACES = (
    *("upper left corner", "upper edge", "upper right corner"),
    *("left edge", "centre", "right edge"),
    *("lower left corner", "lower edge", "lower right corner"),
)
CENTRE = PLACES.index("centre")
SHOWN = 7  # positions along each side of a mean map
PERMUTATIONS = 1_000
MOST_CLASSES = 40  # more would need more permutations than can be waited for
AT_ONCE = 1_000


def shares_of(maps: Floats, along: int = ALONG) -> Floats:
    """The share of what speaks for the class in each of along x along places (N, P), in rows; not a number for nothing.

    Maps are (N, H, W); what speaks against the class is left out.
    """
    positive = np.maximum(maps, 0).astype(np.float64).reshape(len(maps), -1)
    regions = squares(maps.shape[1:3], along**2)
    count = int(regions.max()) + 1
    sums = positive @ (regions.reshape(-1, 1) == np.arange(count)).astype(np.float64)
    total = sums.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(sums, total, out=np.full(sums.shape, np.nan), where=total > 0))


def mass_by_place(maps: Floats) -> Floats:
    """The same in the nine places of `PLACES` (N, 9); where a side has fewer than three pixels there are none."""
    if min(maps.shape[1:3]) < ALONG:
        return np.full((len(maps), len(PLACES)), np.nan)
    return shares_of(maps)


def mean_map(maps: Floats, along: int = SHOWN) -> list[list[float]]:
    """The mean share of the mass in a coarse grid, as rows of numbers; empty where no map has any."""
    shares = shares_of(maps, min(along, *maps.shape[1:3])) if len(maps) else np.zeros((0, 1))
    known = shares[~np.isnan(shares).any(axis=1)]
    if not len(known):
        return []
    side = round(float(np.sqrt(shares.shape[1])))
    return [[round(float(value), 4) for value in row] for row in known.mean(axis=0).reshape(side, side)]


@dataclass(frozen=True)
class Focus:
    """The place at which some images look more than others: how many of each have most of their mass there.

    `more` is by how much the mean share of the mass is larger there, `p` how often chance makes such a difference at
    any place.
    """

    place: int
    looking: int
    n: int
    others_looking: int
    others: int
    more: float
    p: float

    @property
    def share(self) -> float:
        """The share of the images that look there."""
        return self.looking / self.n

    @property
    def others_share(self) -> float:
        """The share of the others that do."""
        return self.others_looking / self.others


def focus_of(
    mass: Floats, chosen: Flags, places: Sequence[int], *, permutations: int = PERMUTATIONS, seed: int = 0
) -> Focus:
    """Where the chosen images (N,) look more than the others, of some places; `mass` (N, P) has no gaps.

    The differences of means, each by its spread over permutations; the p-value is that of the largest (Westfall and
    Young 1993), so that looking at several places needs no further correction.
    """
    values = mass[:, list(places)]
    own, drawn = _differences(values, chosen[None])[0], _by_chance(values, chosen, permutations, seed)
    spread = np.maximum(drawn.std(axis=0), 1e-12)
    scaled = own / spread
    best = int(scaled.argmax())
    p = float(p_of_largest(scaled[best], (drawn / spread).max(axis=1)))
    place, most = places[best], mass.argmax(axis=1)
    there = most == place
    return Focus(
        place,
        int(there[chosen].sum()),
        int(chosen.sum()),
        int(there[~chosen].sum()),
        int((~chosen).sum()),
        float(own[best]),
        p,
    )


def _by_chance(values: Floats, chosen: Flags, permutations: int, seed: int) -> Floats:
    """The differences (B, P) of values (N, P) for random choices of as many images."""
    random = np.random.default_rng(seed)
    parts = []
    for start in range(0, permutations, AT_ONCE):
        rows = min(AT_ONCE, permutations - start)
        parts.append(_differences(values, random.permuted(np.tile(chosen, (rows, 1)), axis=1)))
    return np.concatenate(parts)


def _differences(values: Floats, chosen: Flags) -> Floats:
    """The mean of the chosen less that of the others, for each choice (B, N) and each column of values (N, P)."""
    picked = chosen.astype(np.float64)
    count = picked.sum(axis=1, keepdims=True)
    sums = picked @ values
    return np.asarray(sums / count - (values.sum(axis=0) - sums) / (chosen.shape[1] - count))


def enough_permutations(comparisons: int, level: float) -> int:
    """As many as the smallest p-value among so many comparisons needs to lie below the level."""
    return max(PERMUTATIONS, int(3 * comparisons / level))
