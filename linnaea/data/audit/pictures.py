"""Checks on single pictures: dark, bright, without content, blurred, tiny, oddly shaped, or cut by the crop."""

import numpy as np
import numpy.typing as npt

from linnaea.data.audit.contract import CHECKS, Inspection
from linnaea.finding import Finding

Numbers = npt.NDArray[np.floating]
DARK, BRIGHT = 0.08, 0.95
PLAIN = 0.01  # brightness that varies less than this shows nothing
BLURRED = 4.5  # robust standard deviations of log sharpness below the median
BLURRED_AT_MOST = 0.15  # a Laplacian that varies more than this, relative to brightness, has edges
TINY = 3.0  # times smaller than the usual picture
LONG = 3.0  # times longer than wide, beyond the usual shape
CUT = 0.35  # share of a picture's detail that the crop throws away
SHOWN = 12


@CHECKS.register("dark")
def dark(inspection: Inspection) -> Finding | None:
    """Pictures of which all but the brightest hundredth is nearly black."""
    if inspection.looks is None:
        return None
    level = inspection.looks.dark
    return _finding(inspection, "dark", level < DARK, level, "nearly black")


@CHECKS.register("bright")
def bright(inspection: Inspection) -> Finding | None:
    """Pictures of which all but the darkest twentieth is nearly white."""
    if inspection.looks is None:
        return None
    level = inspection.looks.bright
    return _finding(inspection, "bright", level > BRIGHT, -level, "nearly white")


@CHECKS.register("without_content")
def without_content(inspection: Inspection) -> Finding | None:
    """Pictures of one even colour."""
    if inspection.looks is None:
        return None
    spread = inspection.looks.spread
    return _finding(inspection, "without_content", spread < PLAIN, spread, "of one even colour")


@CHECKS.register("blurred")
def blurred(inspection: Inspection) -> Finding | None:
    """Pictures with far less fine detail than is usual here: the spread of the Laplacian against that of brightness."""
    if inspection.looks is None:
        return None
    sharpness = inspection.looks.sharpness
    logarithm = np.log(sharpness + 1e-6)
    middle = np.median(logarithm)
    spread = 1.4826 * np.median(np.abs(logarithm - middle)) + 1e-6
    hazy = (logarithm < middle - BLURRED * spread) & (sharpness < BLURRED_AT_MOST) & (inspection.looks.spread >= PLAIN)
    return _finding(inspection, "blurred", hazy, sharpness, "far less sharp than the others")


@CHECKS.register("tiny")
def tiny(inspection: Inspection) -> Finding | None:
    """Files with far fewer pixels than is usual here."""
    if inspection.facts is None:
        return None
    sides = np.array([min(facts.width, facts.height) for facts in inspection.facts], dtype=float)
    usual = np.median(sides)
    return _finding(
        inspection, "tiny", sides < usual / TINY, sides, f"smaller than a third of the usual {usual:.0f} px"
    )


@CHECKS.register("odd_shape")
def odd_shape(inspection: Inspection) -> Finding | None:
    """Pictures three times longer or flatter than is usual here."""
    if inspection.facts is None:
        return None
    shapes = np.log([facts.ratio for facts in inspection.facts])
    strangeness = np.exp(np.abs(shapes - np.median(shapes)))
    return _finding(inspection, "odd_shape", strangeness > LONG, -strangeness, "of a very unusual shape")


@CHECKS.register("cut_by_crop")
def cut_by_crop(inspection: Inspection) -> Finding | None:
    """Pictures much of whose detail lies outside the square that `--fit crop` keeps."""
    if inspection.looks is None or inspection.fit != "crop":
        return None
    lost = inspection.looks.cut_away
    return _finding(
        inspection, "cut_by_crop", lost > CUT, -lost, f"cut by --fit crop of over {CUT:.0%} of their detail (try pad)"
    )


def _finding(
    inspection: Inspection, name: str, flagged: npt.NDArray[np.bool_], badness: Numbers, words: str
) -> Finding | None:
    """A finding on the flagged images, the lowest `badness` first."""
    rows = np.flatnonzero(flagged)
    if not len(rows):
        return None
    rows = rows[np.argsort(badness[rows], kind="stable")]
    table = inspection.rows(rows.tolist(), score=np.abs(badness[rows]).round(4).tolist())
    return Finding(
        name,
        f"{len(rows)} of {len(flagged)} pictures are {words}; first {table[0]['path']}.",
        severity="warning",
        count=len(rows),
        rows=table,
        images=[str(row["path"]) for row in table[:SHOWN]],
    )
