"""How far stated probabilities lie from what is true, told in several ways, each with its limits."""

from collections.abc import Callable

import numpy as np

from linnaea.arrays import Floats
from linnaea.evidence.contract import FIGURES
from linnaea.evidence.metrics import Judged
from linnaea.evidence.metrics.binned import Binned, decisions_of
from linnaea.evidence.metrics.by_class import ByClass
from linnaea.statistics.intervals import Statistic
from linnaea.statistics.spread import Sample

NOTHING = "no readable images"
INVERTED = "inverted test, corrected for what chance adds"
MOST_PROBABILITIES = 20_000_000  # images times classes that are looked at one class after the other


def calibration_figures(scores: Judged, sample: Sample) -> dict[str, Statistic]:
    """Calibration errors in bins of equal mass, without what chance adds, at the worst, and by class; and the parts
    of the Brier score. All over readable images and what is known of them.

    Figures by class are undefined where there are very many probabilities, and say so.
    """
    decisions = decisions_of(scores, sample)
    found = {
        "ece_equal_mass": ece_equal_mass(decisions.in_equal_mass()),
        "ece_debiased": ece_debiased(decisions.in_equal_mass()),
        "mce": mce(decisions),
        "p_calibrated": p_calibrated(decisions.in_equal_mass()),
    }
    by_class = {
        "ece_classwise": ece_classwise,
        "brier_reliability": brier_reliability,
        "brier_resolution": brier_resolution,
        "brier_uncertainty": brier_uncertainty,
    }
    if len(scores) * scores.classes > MOST_PROBABILITIES:
        many = (
            f"{len(scores):,} images of {scores.classes:,} classes are more than {MOST_PROBABILITIES:,} probabilities"
        )
        return found | dict.fromkeys(by_class, Statistic(_always(float("nan")), len(scores), undefined=many))
    parts = ByClass.of(scores, sample)
    return found | {name: figure(parts) for name, figure in by_class.items()}


@FIGURES.register(
    "ece_equal_mass",
    title="Calibration error, equal mass",
    meaning="As the calibration error, in 15 bins of equally many images (Nixon et al. 2019).",
    order=200,
    share=True,
    detail=True,
)
def ece_equal_mass(binned: Binned) -> Statistic:
    """The sum over bins of equally many decisions of the gap between what was stated and what is true."""
    return _known(binned.error, binned, binned.limits, (0.0, 1.0))


@FIGURES.register(
    "ece_debiased",
    title="Calibration error, debiased",
    meaning="The same less an estimate of what chance adds (Kumar et al. 2019, Roelofs et al. 2022).",
    order=210,
    share=True,
    detail=True,
)
def ece_debiased(binned: Binned) -> Statistic:
    """Twice it, less the mean of what it would be of samples about this one: less what chance seems to add to it.

    That is less than chance adds where nothing is wrong, but none of it is lost where much is.
    """
    return _known(lambda: max(0.0, 2 * binned.error() - binned.expected()), binned, binned.limits, (0.0, 1.0))


@FIGURES.register(
    "mce",
    title="Worst calibration error",
    meaning="The largest gap between stated confidence and the share that is right in any bin (Naeini et al. 2015).",
    order=220,
    share=True,
    detail=True,
)
def mce(binned: Binned) -> Statistic:
    """The largest gap of any bin of equal width; limits that hold for all bins at once (Bonferroni)."""
    method = f"normal for all {binned.count} bins at once"
    return _known(binned.worst, binned, binned.limits_of_worst, (0.0, 1.0), method)


@FIGURES.register(
    "p_calibrated",
    title="p of perfect calibration",
    meaning="How often an error as large would be seen if confidence meant what it says (Broecker and Smith 2007).",
    order=225,
    detail=True,
)
def p_calibrated(binned: Binned) -> Statistic:
    """The share of samples with truths drawn by what was stated in which the gaps sum to as much."""
    return _known(binned.p_value, binned, lambda: (None, None), (0.0, 1.0), "truths drawn by what was stated")


@FIGURES.register(
    "ece_classwise",
    title="Calibration error by class",
    meaning="The mean over classes of how far the probability of each lies from how often it is true (Kull et al. 2019)"
    ".",
    order=230,
    share=True,
    detail=True,
)
def ece_classwise(parts: ByClass) -> Statistic:
    """The mean over classes of the calibration error of the probability of each, in 15 bins of equal width."""
    return _known(parts.classwise, parts, parts.limits_of_classwise, (0.0, 1.0))


@FIGURES.register(
    "brier_reliability",
    title="Brier score: reliability",
    meaning="The part of the Brier score that calibration could remove (Murphy 1973), less what chance adds.",
    order=240,
    bounded=False,
    detail=True,
)
def brier_reliability(parts: ByClass) -> Statistic:
    """The mean squared gap between what was stated and is true in each bin, summed over classes.

    Without the bias of few images in a bin (Ferro and Fricker 2012), so that it may fall a little below 0.
    """
    return _known(parts.reliability, parts, parts.limits_of_reliability, (-2.0, 2.0))


@FIGURES.register(
    "brier_resolution",
    title="Brier score: resolution",
    meaning="How far the classifier tells images apart (Murphy 1973); higher is better.",
    order=250,
    bounded=False,
    detail=True,
)
def brier_resolution(parts: ByClass) -> Statistic:
    """What the Brier score lacks to uncertainty and reliability together: reliability - resolution + uncertainty.

    That holds what varies within bins as well (Stephenson et al. 2008), so that the three make up the score exactly.
    """
    return _drifting(parts.resolution, parts, parts.influence_of_resolution)


@FIGURES.register(
    "brier_uncertainty",
    title="Brier score: uncertainty",
    meaning="The Brier score of always stating the shares of the classes (Murphy 1973); a matter of the images.",
    order=260,
    bounded=False,
    detail=True,
)
def brier_uncertainty(parts: ByClass) -> Statistic:
    """The variance of the truth, summed over classes, without bias."""
    return _drifting(parts.uncertainty, parts, parts.influence_of_uncertainty)


def _known(
    value: Callable[[], float],
    binned: Binned | ByClass,
    limits: Callable[[], tuple[float | None, float | None]],
    bounds: tuple[float, float],
    method: str = INVERTED,
) -> Statistic:
    """A figure with ready limits, which hold it."""
    if not binned.images:
        return Statistic(_always(float("nan")), 0, undefined=NOTHING)
    own, (lo, hi) = value(), limits()
    if lo is None or hi is None or np.isnan(lo) or np.isnan(hi):
        told = method if lo is None else f"no interval: {binned.lack}"
        return Statistic(_always(own), binned.images, limits=(None, None), method=told)
    over = f" over {binned.units:,} groups" if binned.grouped else ""
    return Statistic(
        _always(own), binned.images, limits=(min(lo, own), max(hi, own)), method=f"{method}{over}", bounds=bounds
    )


def _drifting(value: Callable[[], float], parts: ByClass, influence: Callable[[], Floats]) -> Statistic:
    """A figure whose interval is made of how far each image moves it."""
    if not parts.images:
        return Statistic(_always(float("nan")), 0, undefined=NOTHING)
    return Statistic(_always(value()), parts.images, influence=influence(), bounds=(-2.0, 2.0))


def _always(value: float) -> Callable[[Floats], Floats]:
    return lambda weights: np.full(len(weights), value)
