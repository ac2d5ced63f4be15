"""The contract of an aim: what each threshold would do, and which of them is best."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from linnaea.arrays import Floats
from linnaea.registry import Registry

MARGIN = 1e-5  # what two runtimes may differ by: an image on a threshold is on its known side
ROUNDING = 1e-9  # 20 * (1 - 0.95) is 1, whatever floating point says
TIE = 1e-9  # less than one image of a hundred million


@dataclass(frozen=True)
class Cuts:
    """What each threshold (T,), falling, would do on images of which the truth is known.

    `found` and `mistaken` (T,) count the positives and the negatives at or above it, of `positives` and `negatives` in
    all; `weights` are what one negative and one positive count. A threshold lies midway between two scores that differ
    by more than runtimes may: each image is on the same side of it wherever it is scored.
    """

    thresholds: Floats
    found: Floats
    mistaken: Floats
    positives: float
    negatives: float
    weights: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def of(
        cls,
        scores: Floats,
        truths: Floats,
        weights: tuple[float, float] = (1.0, 1.0),
        promised: Floats | None = None,
    ) -> "Cuts":
        """From scores (n,) in [0, 1] and truths (n,) of 0 and 1; `promised` (n,) are shares to be counted in place."""
        order = np.argsort(-scores, kind="stable")
        ranked, counts = scores[order].astype(np.float64), np.where(truths == 1, weights[1], weights[0])[order]
        shares = np.asarray(truths if promised is None else promised, dtype=np.float64)[order]
        highest = ranked[0] + 2 * max((1 - ranked[0]) / 2, MARGIN) if len(ranked) else 1.0
        above, below = np.append(highest, ranked), np.append(ranked, 0.0)
        last = np.arange(len(above)) == len(ranked)
        apart = np.flatnonzero((below < above * (1 - 2 * MARGIN)) | last)
        found, mistaken = (np.append(0.0, np.cumsum(counts * kind)) for kind in (shares, 1 - shares))
        middle = (above[apart] + below[apart]) / 2
        return cls(middle, found[apart], mistaken[apart], float(found[-1]), float(mistaken[-1]), weights)

    @property
    def recall(self) -> Floats:
        """Of the positives, the share found (T,); also called sensitivity."""
        return _share(self.found, self.positives)

    @property
    def specificity(self) -> Floats:
        """Of the negatives, the share that is correctly rejected (T,)."""
        return _share(self.negatives - self.mistaken, self.negatives)

    @property
    def precision(self) -> Floats:
        """Of the images answered as positive, the share that are (T,); NaN where none is."""
        return _share(self.found, self.found + self.mistaken)

    @property
    def f1(self) -> Floats:
        """The harmonic mean of precision and recall (T,)."""
        return _share(2 * self.found, self.found + self.mistaken + self.positives)


def _share(part: Floats, whole: Floats | float) -> Floats:
    divisor = np.broadcast_to(np.asarray(whole, dtype=np.float64), part.shape)
    share: Floats = np.full(part.shape, np.nan)
    np.divide(part, divisor, out=share, where=divisor > 0)
    return share


@dataclass(frozen=True)
class Aim:
    """A member of the family: what makes one threshold better than another.

    `score(cuts, amounts)` says how good each threshold is (T,), -inf where it misses the aim. `amounts` reads what
    follows the equals sign; None where nothing may. `floor` is the figure of `Cuts` that the amount is a least value
    of; `priced` says that the amounts are what the four kinds of answer cost. `doubtful` says
    that where images are few the score is taken to be partly what the probabilities promise.
    """

    score: Callable[[Cuts, tuple[float, ...]], Floats]
    amounts: Callable[[str], tuple[float, ...]] | None = None
    example: str = ""
    floor: str = ""
    priced: bool = False
    doubtful: bool = False


AIMS: Registry[Aim] = Registry(
    "aim", "linnaea.evidence.aims", title="Aims of thresholds", use="Chosen with `linnaea train --aim`."
)


def number(text: str, wanted: str) -> float:
    """The finite number that a text is; raises ValueError with what was `wanted` where it is none."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(wanted) from None
    if not np.isfinite(value):
        raise ValueError(wanted)
    return value
