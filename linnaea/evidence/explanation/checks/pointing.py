"""The pointing game: does the highest value of a map lie on the object?"""

import numpy as np

from linnaea.arrays import Flags, Floats
from linnaea.evidence.explanation.checks.contract import (
    EXPLANATION_CHECKS,
    FAILED,
    NOT_DONE,
    OPEN,
    PASSED,
    Checked,
    Explained,
    Rows,
    Verdict,
    judged,
    nothing_flat,
    rounded,
)
from linnaea.evidence.explanation.checks.means import above
from linnaea.finding import Estimate
from linnaea.statistics.shares import limits_of_share

WORDS = {
    PASSED: "more often than by chance",
    FAILED: "less often than by chance",
    OPEN: "not told from chance",
    NOT_DONE: "not judged, every map is flat",
}


@EXPLANATION_CHECKS.register(
    "pointing",
    title="Pointing game",
    meaning="Counts how often the highest value of a map lies on the object, where boxes say where that is.",
    order=10,
)
def pointing(explained: Explained) -> Checked | None:
    """The share of images whose map is highest on the object (Zhang et al. 2018), beside the share of its pixels.

    Where several pixels are highest, the share of them that lies on the object counts. None without objects.
    """
    if explained.objects is None or not explained.objects.any():
        return None
    known = explained.objects.any(axis=(1, 2))
    objects = explained.objects[known]
    chance = float(objects.mean())
    rows: Rows = []
    verdicts: dict[str, Verdict] = {}
    measured: dict[str, Floats] = {}
    for method, maps in explained.maps.items():
        hits = nothing_flat(maps[known], hits_of(maps[known], objects))
        told, inside = _share(hits), mass_inside(maps[known], objects)
        verdicts[method] = (
            Verdict(NOT_DONE, told.method)
            if told.value is None
            else Verdict.of(above(told, chance), f"{told} of {told.n} images, {chance:.3f} by chance")
        )
        measured[f"pointing/{method}"] = hits
        rows.append(
            {
                "method": method,
                "hits": rounded(told.value),
                "lo": rounded(told.lo),
                "hi": rounded(told.hi),
                "n": told.n,
                "by_chance": rounded(chance),
                "of_mass": rounded(float(np.nanmean(inside)) if not np.isnan(inside).all() else None),
                "outcome": verdicts[method].outcome,
            }
        )
    lead = "The highest value lies on the object."
    finding = judged("pointing", lead, WORDS, verdicts, rows, int(known.sum()))
    return Checked(finding, verdicts, measured)


def hits_of(maps: Floats, objects: Flags) -> Floats:
    """The share of the highest pixels of each map (N, H, W) that lies on the object (N, H, W), shape (N,)."""
    highest = maps == maps.max(axis=(1, 2), keepdims=True)
    return np.asarray((highest & objects).sum(axis=(1, 2)) / highest.sum(axis=(1, 2)))


def mass_inside(maps: Floats, objects: Flags) -> Floats:
    """The share of what speaks for the class that lies on the object (N,); not a number where nothing does."""
    positive = np.maximum(maps, 0).astype(np.float64)
    total = positive.sum(axis=(1, 2))
    inside = (positive * objects).sum(axis=(1, 2))
    return np.asarray(np.divide(inside, total, out=np.full(len(maps), np.nan), where=total > 0))


def _share(hits: Floats) -> Estimate:
    known = hits[~np.isnan(hits)]
    if not len(known):
        return Estimate(None, None, None, 0, "not defined: every map is flat")
    lo, hi = limits_of_share(float(known.sum()), len(known))
    return Estimate(float(known.mean()), lo, hi, len(known), "Wilson")
