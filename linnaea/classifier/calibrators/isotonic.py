"""A rising curve for each class."""

import numpy as np
from scipy.optimize import isotonic_regression

from linnaea.arrays import Floats
from linnaea.classifier.calibrators.by_class import KNOTS, WIDEST, Curve, Piecewise, pieces, softened
from linnaea.classifier.calibrators.contract import CALIBRATORS

APART = 1e-3  # log-odds between two knots


@CALIBRATORS.register(
    "isotonic",
    title="Isotonic",
    meaning="A rising curve for each class against the rest, then normalised (Zadrozny and Elkan 2002).",
    order=40,
    one=True,
    several=True,
)
class Isotonic(Piecewise):
    """Isotonic regression of each class against the rest (Zadrozny and Elkan 2002), straight between its levels.

    That keeps the order of images within a level (centred, Oron and Flournoy 2017), but for those beyond the last.
    """

    kind = "isotonic"

    @classmethod
    def curve(cls, odds: Floats, truth: Floats) -> Curve:
        """Levels that rise with the log-odds (n,), each at the mean of its images."""
        order = np.argsort(odds, kind="stable")
        place, there = np.clip(odds[order], -WIDEST, WIDEST), truth[order]
        blocks = isotonic_regression(there).blocks
        counts = np.diff(blocks).astype(np.float64)
        sums, places = (np.add.reduceat(values, blocks[:-1]) for values in (there, place))
        places = places / counts
        values = np.maximum.accumulate(softened(sums, counts, places))
        kept = np.concatenate([[True], np.diff(places) > APART])
        places, values = places[kept], values[kept]
        chosen = np.unique(np.linspace(0, len(places) - 1, KNOTS).round().astype(int))
        return pieces(places[chosen], values[chosen])
