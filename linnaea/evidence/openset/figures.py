"""How well a score separates unknown images from known ones: figures with intervals."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linnaea.arrays import Flags, Floats
from linnaea.errors import DataError
from linnaea.evidence.contract import FIGURES
from linnaea.evidence.metrics.scores import ratio, totals
from linnaea.evidence.uncertainty import of_share
from linnaea.finding import Estimate
from linnaea.statistics.intervals import REPLICATES, Statistic, estimate
from linnaea.statistics.shares import slack_of_parts
from linnaea.statistics.spread import Sample

KNOWN_KEPT = 0.95


@dataclass(frozen=True, eq=False)
class Strangeness:
    """Scores of n images as the places (n,) of their `levels`, the lowest first; which are `unknown`, which `hits`.

    A hit is a known image that is answered correctly.
    """

    places: npt.NDArray[np.int64]
    levels: int
    unknown: Flags
    hits: Flags

    @classmethod
    def of(cls, known: Floats, unknown: Floats, hits: Flags) -> "Strangeness":
        """Scores of known (n,) and unknown (m,) images, and which of the known are answered correctly (n,)."""
        scores = np.concatenate([known, unknown])
        if not len(known) or not len(unknown) or not np.isfinite(scores).all():
            raise DataError(
                f"{len(known)} known and {len(unknown)} unknown scores were given, {(~np.isfinite(scores)).sum()} of "
                "them not finite: expected at least one of each, all finite."
            )
        levels, places = np.unique(scores, return_inverse=True)
        strange = np.arange(len(scores)) >= len(known)
        return cls(places, len(levels), strange, np.concatenate([hits, np.zeros(len(unknown), dtype=bool)]))

    def counts(self, weights: Floats, flags: Flags) -> Floats:
        """How many of the flagged images are at each level, for weights (B, n), shape (B, levels)."""
        return totals(weights, self.places, self.levels, flags)


@FIGURES.register(
    "auroc",
    title="AUROC",
    meaning="Chance that an unknown image scores higher than a known one; 0.5 is guessing.",
    order=40,
)
def auroc(scores: Strangeness, weights: Floats) -> Floats:
    """The chance that an unknown image has a higher score than a known one, ties counting half (B,)."""
    return _overtaken(scores, weights, ~scores.unknown)


@FIGURES.register(
    "oscr",
    title="OSCR",
    meaning="Chance that a known image is labelled correctly and scores as more familiar than an unknown one.",
    order=70,
)
def oscr(scores: Strangeness, weights: Floats) -> Floats:
    """The area under the open-set classification curve (Dhamija et al. 2018) (B,).

    That is the chance that a known image is answered correctly and an unknown one has a higher score than it.
    """
    return _overtaken(scores, weights, scores.hits)


@FIGURES.register(
    "aupr",
    title="AUPR",
    meaning="Precision at each unknown image found by its score, averaged; 1 is perfect.",
    order=50,
)
def aupr(scores: Strangeness, weights: Floats) -> Floats:
    """The average precision of finding the unknown images by the highest scores (B,)."""
    found = scores.counts(weights, scores.unknown)[:, ::-1]
    seen = totals(weights, scores.places, scores.levels)[:, ::-1].cumsum(axis=1)
    precision = np.divide(found.cumsum(axis=1), seen, out=np.zeros_like(seen), where=seen > 0)
    return ratio((precision * found).sum(axis=1), found.sum(axis=1))


@FIGURES.register(
    "fpr_at_95_tpr",
    title="Let through at 95 %",
    meaning="Share of unknown images that pass where 95 % of the known do.",
    order=60,
    share=True,
)
def fpr_at_95_tpr(scores: Strangeness, weights: Floats) -> Floats:
    """The share of unknown images let through by the lowest score that lets 95 % of the known through (B,)."""
    known = scores.counts(weights, ~scores.unknown).cumsum(axis=1)
    unknown = scores.counts(weights, scores.unknown).cumsum(axis=1)
    enough = (known >= KNOWN_KEPT * known[:, -1:] - 1e-9).argmax(axis=1)
    return ratio(np.take_along_axis(unknown, enough[:, None], axis=1)[:, 0], unknown[:, -1])


def _overtaken(scores: Strangeness, weights: Floats, flags: Flags) -> Floats:
    """The chance, over unknown and known images, that a known one is flagged and scores lower (B,)."""
    unknown, flagged = scores.counts(weights, scores.unknown), scores.counts(weights, flags)
    below = flagged.cumsum(axis=1) - flagged / 2
    pairs = unknown.sum(axis=1) * (weights @ (~scores.unknown).astype(np.float64))
    return ratio((unknown * below).sum(axis=1), pairs)


@FIGURES.register(
    "unknown_rejected",
    title="Unknown called unfamiliar",
    meaning="Share of unknown images that are declined.",
    order=80,
    share=True,
)
def unknown_rejected(above: Flags, scores: Strangeness, sample: Sample) -> Statistic:
    """The share of unknown images that is `above` the threshold (n,)."""
    return of_share(above, scores.unknown, sample, "no unknown images")


@FIGURES.register(
    "known_rejected",
    title="Known called unfamiliar",
    meaning="Share of known images that are declined.",
    order=90,
    share=True,
)
def known_rejected(above: Flags, scores: Strangeness, sample: Sample) -> Statistic:
    """The share of known images that is `above` the threshold (n,)."""
    return of_share(above, ~scores.unknown, sample, "no known images")


SEPARATIONS: dict[str, Callable[[Strangeness, Floats], Floats]] = {
    "auroc": auroc,
    "aupr": aupr,
    "fpr_at_95_tpr": fpr_at_95_tpr,
    "oscr": oscr,
}


def openset_figures(
    known_scores: Floats,
    unknown_scores: Floats,
    known_hits: Flags,
    *,
    threshold: float | None = None,
    groups: Sequence[Hashable | None] | None = None,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> dict[str, Estimate]:
    """The figures of a score that is to be higher for unknown (m,) than for known images (n,), each with an interval.

    `known_hits` (n,) says which known images are answered correctly. `auroc`, `aupr` (unknown ones are to be found),
    `fpr_at_95_tpr` (unknown ones let through where 95 % of the known are), `oscr`; with a `threshold` also the shares
    of each kind above it, `unknown_rejected` and `known_rejected`. `groups` (n,) are those of the known images, which
    are then left out whole. Raises DataError without images of either kind, or for a score that is not a number.
    """
    known = np.asarray(known_scores, dtype=np.float64)
    unknown = np.asarray(unknown_scores, dtype=np.float64)
    scores = Strangeness.of(known, unknown, np.asarray(known_hits, dtype=bool))
    sample = Sample.of(len(scores.places), None if groups is None else [*groups, *[None] * len(unknown)])
    statistics = {name: _statistic(function, scores, sample) for name, function in SEPARATIONS.items()}
    if threshold is not None:
        above = np.concatenate([known, unknown]) > threshold
        statistics["unknown_rejected"] = unknown_rejected(above, scores, sample)
        statistics["known_rejected"] = known_rejected(above, scores, sample)
    return estimate(statistics, sample, seed=seed, replicates=replicates)


def _statistic(function: Callable[[Strangeness, Floats], Floats], scores: Strangeness, sample: Sample) -> Statistic:
    strange = int(scores.unknown.sum())
    fewest = min(strange, len(scores.unknown) - strange)
    value = function(scores, np.ones((1, sample.n)))
    return Statistic(
        lambda weights: function(scores, weights),
        sample.n,
        slack=slack_of_parts(value, np.array([float(fewest)]) * sample.density),
        smooth=function is not fpr_at_95_tpr,  # a quantile jumps
        bounds=(0.0, 1.0),
    )
