"""Deletion and insertion: how fast the answer changes as the parts a map points at are covered, or shown."""

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import gaussian_filter

from linnaea.arrays import Array, Floats, Integers
from linnaea.evidence.explanation.black_box.covering import Answer, answered, mean_colour
from linnaea.evidence.explanation.black_box.regions import squares
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
from linnaea.evidence.explanation.checks.means import BOTH_SIGNS, above, mean_of

ALONG = 14  # cells along each side: maps of all methods are looked at equally finely
STEPS = 14
RANDOM_ORDERS = 3
BLUR = 0.08  # of the side


@EXPLANATION_CHECKS.register(
    "deletion",
    title="Deletion",
    meaning="Covers what a map points at, first things first: the answer must fall faster than in random order.",
    cost="minutes",
    order=20,
)
def deletion(explained: Explained) -> Checked | None:
    """The area under the answer while cells are covered by the mean colour (Petsiuk et al. 2018)."""
    return _compared(explained, "deletion", insert=False)


@EXPLANATION_CHECKS.register(
    "insertion",
    title="Insertion",
    meaning="Shows what a map points at in a blurred image: the answer must rise faster than in random order.",
    cost="minutes",
    order=30,
)
def insertion(explained: Explained) -> Checked | None:
    """The area under the answer while cells of a blurred image become sharp (Petsiuk et al. 2018)."""
    return _compared(explained, "insertion", insert=True)


def _compared(explained: Explained, name: str, *, insert: bool) -> Checked:
    random = np.random.default_rng(explained.seed)
    areas: dict[str, list[float]] = {method: [] for method in (*explained.maps, "random")}
    for row, image in enumerate(explained.images):
        curve = _Curve.of(explained.answer, image, int(explained.targets[row]), insert=insert)
        orders = [random.permutation(curve.cells) for _ in range(RANDOM_ORDERS)]
        areas["random"].append(float(np.mean([curve.area(order) for order in orders])))
        for method, maps in explained.maps.items():
            areas[method].append(curve.area(order_of(maps[row], curve.regions, random)))
    measured = {method: np.array(values) for method, values in areas.items()}
    sign = 1 if insert else -1
    gains = {
        method: nothing_flat(maps, sign * (measured[method] - measured["random"]))
        for method, maps in explained.maps.items()
    }
    return _told(name, measured, gains)


def order_of(heat: Floats, regions: Integers, random: np.random.Generator) -> Integers:
    """The cells in the order of the mean of a map (H, W) over each, the highest first; equal ones by chance."""
    count = int(regions.max()) + 1
    sums = np.bincount(regions.ravel(), weights=heat.ravel(), minlength=count)
    means = sums / np.bincount(regions.ravel(), minlength=count)
    return np.asarray(np.lexsort((random.random(count), -means)))


class _Curve:
    """The answer for one image while its cells are covered, or shown, one step after the other."""

    def __init__(self, answer: Answer, image: Array, target: int, regions: Integers, other: Floats) -> None:
        self.answer, self.image, self.target, self.regions, self.other = answer, image, target, regions, other
        self.cells = int(regions.max()) + 1
        self.ends: tuple[float, float] | None = None

    @classmethod
    def of(cls, answer: Answer, image: Array, target: int, *, insert: bool) -> "_Curve":
        regions = squares(image.shape[:2], ALONG**2)
        if not insert:
            return cls(answer, image, target, regions, mean_colour(image))
        width = BLUR * max(image.shape[:2])
        blurred = gaussian_filter(image.astype(np.float32), (width, width, 0))
        return cls(answer, np.rint(blurred).astype(np.uint8), target, regions, image.astype(np.float32))

    def area(self, order: Integers) -> float:
        """The mean of the answer over the share of cells that were changed, in this order (trapezoids)."""
        place = np.empty(self.cells, dtype=np.int64)
        place[order] = np.arange(self.cells)
        steps = min(STEPS, self.cells)
        cuts = np.rint(np.linspace(0, self.cells, steps + 1)).astype(np.int64)
        keeps = ((place[self.regions] >= cut).astype(np.float32) for cut in (cuts if self.ends is None else cuts[1:-1]))
        said = answered(self.answer, self.image, keeps, self.target, self.other)
        if self.ends is None:
            self.ends = float(said[0]), float(said[-1])
        else:
            said = np.array([self.ends[0], *said, self.ends[1]])
        return float(np.trapezoid(said, cuts / self.cells))


LEADS = {
    "deletion": "As what the map points at is covered first, the answer falls.",
    "insertion": "As what the map points at is shown first, in a blurred image, the answer rises.",
}
WORDS = {
    PASSED: "faster than in random order",
    FAILED: "slower than in random order",
    OPEN: "no faster than in random order, as far as is seen",
    NOT_DONE: "not judged, every map is flat",
}


def _told(name: str, areas: Mapping[str, Floats], gains: Mapping[str, Floats]) -> Checked:
    rows: Rows = []
    verdicts: dict[str, Verdict] = {}
    for method, gain in gains.items():
        told = mean_of(gain, BOTH_SIGNS)
        reason = f"{told} in area over {told.n} images, against random order"
        verdicts[method] = Verdict(NOT_DONE, told.method) if told.value is None else Verdict.of(above(told, 0), reason)
        rows.append(
            {
                "method": method,
                "area": rounded(mean_of(areas[method]).value),
                "random_order": rounded(mean_of(areas["random"]).value),
                "gain": rounded(told.value),
                "lo": rounded(told.lo),
                "hi": rounded(told.hi),
                "n": told.n,
                "outcome": verdicts[method].outcome,
            }
        )
    finding = judged(name, LEADS[name], WORDS, verdicts, rows, len(areas["random"]))
    return Checked(finding, verdicts, {f"{name}/{method}": values for method, values in areas.items()})
