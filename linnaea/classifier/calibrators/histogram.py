"""Steps for each class."""

import numpy as np

from linnaea.arrays import Floats
from linnaea.classifier.calibrators.by_class import WIDEST, Curve, Piecewise, pieces, softened
from linnaea.classifier.calibrators.contract import CALIBRATORS

BINS = 15
FEWEST = 10  # images in a bin
STEEP = 0.02  # log-odds over which a step rises, so that rounding elsewhere does not move a probability by a whole step


@CALIBRATORS.register(
    "histogram",
    title="Histogram binning",
    meaning="For each class the share that was seen in each of 15 bins (Zadrozny and Elkan 2001).",
    order=50,
    one=True,
    several=True,
)
class Histogram(Piecewise):
    """Histogram binning of each class against the rest (Zadrozny and Elkan 2001), in bins of equally many images."""

    kind = "histogram"

    @classmethod
    def curve(cls, odds: Floats, truth: Floats) -> Curve:
        """The share seen in each bin, at its mean log-odds."""
        order = np.argsort(odds, kind="stable")
        place = np.clip(odds[order], -WIDEST, WIDEST)
        bins = min(BINS, max(1, len(odds) // FEWEST))
        edges = np.unique(place[np.linspace(0, len(place), bins, endpoint=False).astype(int)])
        of_bin = np.searchsorted(edges, place, side="right") - 1
        counts = np.bincount(of_bin, minlength=len(edges)).astype(np.float64)
        sums, places = (np.bincount(of_bin, part, len(edges)).astype(np.float64) for part in (truth[order], place))
        values = softened(sums, counts, places / counts)
        middle = np.concatenate([edges[:1] - 1, edges[1:]])
        return _steps(middle, values)


def _steps(edges: Floats, values: Floats) -> Curve:
    """A step at every edge (m,) but the first, to values (m,)."""
    curve = dict(pieces(np.arange(len(values), dtype=np.float64), values, STEEP))
    curve["start"][: len(values) - 1] = edges[1:] - STEEP / 2
    return curve
