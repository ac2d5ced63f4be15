"""Sensitivity and stability: how far maps move when noise that nobody would see is added to the image."""

import numpy as np

from linnaea.arrays import Array, Floats, Images
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
    rounded,
)
from linnaea.evidence.explanation.checks.means import BOTH_SIGNS, above, mean_of
from linnaea.evidence.explanation.checks.similarity import is_flat, rank_correlation

RADIUS = 0.02  # of the range of a pixel, as captum has it
DRAWS = 4
ALIKE = 0.5
WORDS = {
    PASSED: "the map stays alike",
    FAILED: "the map becomes another",
    OPEN: "not decided by so few images",
    NOT_DONE: "not judged, every map is flat",
}


@EXPLANATION_CHECKS.register(
    "stability",
    title="Stability under noise",
    meaning="Adds noise of 2 % of the range, and measures how far a map moves (max-sensitivity, Yeh et al. 2019).",
    cost="minutes",
    order=40,
    remakes=4,
)
def stability(explained: Explained) -> Checked | None:
    """The greatest change of each map over draws of noise, as a share of the map, and how alike the maps remain.

    A method fails where the mean rank correlation over images lies below 0.5. Each draw has another seed, so that a
    method that samples too little is seen as well.
    """
    noisy = [noisy_images(explained.images, explained.seed + draw) for draw in range(1, DRAWS + 1)]
    rows: Rows = []
    verdicts: dict[str, Verdict] = {}
    measured: dict[str, Floats] = {}
    for method, maps in explained.maps.items():
        again = [explained.remake(method, images, explained.seed + at) for at, images in enumerate(noisy, 1)]
        changed = np.max([relative_change(maps, other) for other in again], axis=0)
        alike = np.mean([rank_correlation(maps, other) for other in again], axis=0)
        told, sensitivity = mean_of(alike, BOTH_SIGNS), mean_of(changed, (0.0, np.inf))
        reason = f"rank correlation {told} over {told.n} images"
        verdicts[method] = (
            Verdict(NOT_DONE, told.method) if told.value is None else Verdict.of(above(told, ALIKE), reason)
        )
        measured |= {f"sensitivity/{method}": changed, f"stability/{method}": alike}
        rows.append(
            {
                "method": method,
                "max_sensitivity": rounded(sensitivity.value),
                "sensitivity_lo": rounded(sensitivity.lo),
                "sensitivity_hi": rounded(sensitivity.hi),
                "rank_correlation": rounded(told.value),
                "lo": rounded(told.lo),
                "hi": rounded(told.hi),
                "n": told.n,
                "outcome": verdicts[method].outcome,
            }
        )
    lead = f"Noise of {RADIUS:.0%} is added."
    finding = judged("stability", lead, WORDS, verdicts, rows, len(explained.images))
    return Checked(finding, verdicts, measured)


def noisy_images(images: Images, seed: int, radius: float = RADIUS) -> Images:
    """Images of uint8 with uniform noise of up to `radius` of the range."""
    most = radius * 255
    noise = np.random.default_rng(seed).uniform(-most, most, images.shape)
    return np.asarray(np.clip(np.rint(images + noise), 0, 255).astype(np.uint8))


def relative_change(maps: Floats, other: Floats) -> Floats:
    """The length of the difference of maps (N, H, W) over that of the first (N,); not a number where that is flat."""
    length, change = (_length(values) for values in (maps, other - maps))
    return np.where(is_flat(maps), np.nan, change / np.where(length > 0, length, 1.0))


def _length(maps: Array) -> Floats:
    return np.asarray(np.sqrt(np.square(maps.astype(np.float64)).sum(axis=(1, 2))))
