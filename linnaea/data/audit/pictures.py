"""Checks on single images: dark, bright, without content, blurred, tiny, oddly shaped, or cut by the crop."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from linnaea.arrays import Floats
from linnaea.data.audit.contract import CHECKS, Inspection, warn_of
from linnaea.data.images.appearance import Looks
from linnaea.finding import Finding

DARK, BRIGHT = 0.08, 0.95
PLAIN = 0.01  # brightness that varies less than this shows nothing
BLURRED = 4.5  # robust standard deviations of log sharpness below the median
BLURRED_AT_MOST = 0.15  # a Laplacian that varies more than this, relative to brightness, has edges
ENLARGED = 1.45  # powers of ten by which the spectrum of an enlarged image falls
TINY = 3.0  # times smaller than the usual image
LONG = 3.0  # times longer than wide, beyond the usual shape
CUT = 0.35  # share of an image's detail that the crop throws away
Judged = tuple[npt.NDArray[np.bool_], Floats]  # which images are flagged, and how they score, the worst lowest


@CHECKS.register("dark", title="Dark", order=170)
def dark(inspection: Inspection) -> Finding | None:
    """Images of which all but the brightest hundredth is nearly black."""
    return _by_looks(inspection, "dark", lambda looks: (looks.dark < DARK, looks.dark), "nearly black")


@CHECKS.register("bright", title="Bright", order=180)
def bright(inspection: Inspection) -> Finding | None:
    """Images of which all but the darkest twentieth is nearly white."""
    return _by_looks(inspection, "bright", lambda looks: (looks.bright > BRIGHT, -looks.bright), "nearly white")


@CHECKS.register("without_content", title="Without content", order=190)
def without_content(inspection: Inspection) -> Finding | None:
    """Images of a single colour."""
    return _by_looks(
        inspection, "without_content", lambda looks: (looks.spread < PLAIN, looks.spread), "of a single colour"
    )


@CHECKS.register("blurred", title="Blurred", order=200)
def blurred(inspection: Inspection) -> Finding | None:
    """Images with far less fine detail than is usual here: the spread of the Laplacian against that of brightness."""
    return _by_looks(inspection, "blurred", _hazy, "far less sharp than the others")


def _hazy(looks: Looks) -> Judged:
    logarithm = np.log(looks.sharpness + 1e-6)
    middle = np.median(logarithm)
    spread = 1.4826 * np.median(np.abs(logarithm - middle)) + 1e-6
    hazy = (logarithm < middle - BLURRED * spread) & (looks.sharpness < BLURRED_AT_MOST) & (looks.spread >= PLAIN)
    return hazy, looks.sharpness


@CHECKS.register("enlarged", title="Enlarged", order=210)
def enlarged(inspection: Inspection) -> Finding | None:
    """Images without the fine detail that their size could hold, each by its own spectrum: probably enlarged."""
    words = "less detailed than their size allows, as if enlarged from half of it or less"
    return _by_looks(inspection, "enlarged", lambda looks: (looks.fall > ENLARGED, -looks.fall), words)


@CHECKS.register("tiny", title="Tiny", order=220)
def tiny(inspection: Inspection) -> Finding | None:
    """Files with far fewer pixels than is usual here."""
    if inspection.facts is None:
        return None
    sides = np.array([min(facts.width, facts.height) for facts in inspection.facts], dtype=float)
    usual = np.median(sides)
    return _finding(
        inspection, "tiny", sides < usual / TINY, sides, f"smaller than a third of the usual {usual:.0f} px"
    )


@CHECKS.register("odd_shape", title="Odd shape", order=230)
def odd_shape(inspection: Inspection) -> Finding | None:
    """Images three times longer or flatter than is usual here."""
    if inspection.facts is None:
        return None
    shapes = np.log([facts.ratio for facts in inspection.facts])
    strangeness = np.exp(np.abs(shapes - np.median(shapes)))
    return _finding(inspection, "odd_shape", strangeness > LONG, -strangeness, "of a very unusual shape")


@CHECKS.register("cut_by_crop", title="Cut by the crop", order=240)
def cut_by_crop(inspection: Inspection) -> Finding | None:
    """Images much of whose detail lies outside the square that `--fit crop` keeps."""
    if inspection.fit != "crop":
        return None
    words = f"losing over {CUT:.0%} of their detail to --fit crop (try --fit pad)"
    return _by_looks(inspection, "cut_by_crop", lambda looks: (looks.cut_away > CUT, -looks.cut_away), words)


def _by_looks(inspection: Inspection, name: str, judge: Callable[[Looks], Judged], words: str) -> Finding | None:
    """A finding on the images that are flagged by their looks, where these were measured."""
    return None if inspection.looks is None else _finding(inspection, name, *judge(inspection.looks), words)


def _finding(
    inspection: Inspection, name: str, flagged: npt.NDArray[np.bool_], badness: Floats, words: str
) -> Finding | None:
    """A finding on the flagged images, the lowest `badness` first."""
    rows = np.flatnonzero(flagged)
    if not len(rows):
        return None
    rows = rows[np.argsort(badness[rows], kind="stable")]
    table = inspection.rows(rows.tolist(), score=np.abs(badness[rows]).round(4).tolist())
    return warn_of(name, f"{len(rows)} of {len(flagged)} images are {words}; first {table[0]['path']}.", table)
