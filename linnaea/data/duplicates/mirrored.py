"""How many look-alikes would pass for copies? Mirror images tell, since none of them is a copy.

Searches in other fields are checked by decoys in the same way (Elias and Gygi 2007, "Target-decoy search strategy").
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from linnaea.arrays import Float32, Images, Integers
from linnaea.data.duplicates import alignment, sameness

SURE = 0.7  # difference up to which nothing but rounding and compression is left to explain
MOST_ASKED = 160  # images whose mirror images are looked for
CLOSEST = 8  # of each, so many images are looked at
MOST_FALSE = 0.05  # share of the pairs that may be look-alikes
STEPS = 15  # limits that are tried, from MOST down to SURE

Vectors = npt.NDArray[np.floating]
Look = Callable[[int], Images]


def limit_of(asked: Integers, ours: Vectors, mirrored: Vectors, thumbnails: Images, look: Look, alike: float) -> float:
    """The largest difference at which at most a twentieth of the pairs are look-alikes, from `SURE` to `MOST`.

    `asked` (A,) are rows that were found to have a copy; `ours` (N, D) are the coarse views of all rows, `mirrored`
    (A, D) those of the mirror images of the rows that are asked, `alike` the similarity worth a closer look. As many
    images have a look-alike among the mirror images as have one among the images themselves; an image and its own
    mirror image are left out. Objects that are never seen from both sides, such as shoes that all point to the left,
    have fewer: the limit is then too high rather than too low.
    """
    similarity = mirrored @ ours.T
    similarity[np.arange(len(asked)), asked] = -1.0
    best = np.full(len(asked), np.inf, dtype=np.float32)
    closest = np.argsort(-similarity, axis=1, kind="stable")[:, :CLOSEST]
    pairs = [(place, int(row)) for place, rows in enumerate(closest) for row in rows if similarity[place, row] >= alike]
    for (place, _), difference in zip(pairs, _differences(asked, pairs, thumbnails, look), strict=True):
        best[place] = min(best[place], difference)
    for limit in np.linspace(sameness.MOST, SURE, STEPS):
        if (best <= limit).mean() <= MOST_FALSE:
            return float(limit)
    return SURE


def _differences(asked: Integers, pairs: Sequence[tuple[int, int]], thumbnails: Images, look: Look) -> Float32:
    """How much the mirror image of an asked row differs from another row, for each pair (P,)."""
    found = np.full(len(pairs), np.inf, dtype=np.float32)
    if not pairs:
        return found
    left = thumbnails[asked[[place for place, _ in pairs]]][:, :, ::-1]
    near = np.flatnonzero(alignment.agree_when_small(left.copy(), thumbnails[[row for _, row in pairs]]))
    for start in range(0, len(near), sameness.AT_ONCE):
        part = near[start : start + sameness.AT_ONCE]
        flipped = [np.ascontiguousarray(look(int(asked[pairs[each][0]]))[:, ::-1]) for each in part]
        found[part] = sameness.differences(flipped, [look(pairs[each][1]) for each in part])
    return found
