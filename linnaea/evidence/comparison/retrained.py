"""Classifiers tested by how they come out when they are trained again: over folds, and over seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from linnaea.errors import DataError
from linnaea.evidence.comparison.pairing import pair
from linnaea.evidence.metrics import metrics_for, scores_of
from linnaea.finding import Estimate
from linnaea.predictions import Predictions
from linnaea.statistics.association import holm_of_known
from linnaea.statistics.repeats import corrected_t, mean_over

Rows = list[dict[str, Any]]


def over_folds(sides: Mapping[str, Sequence[Predictions]], metric: str | None = None) -> Rows:
    """Every pair by the corrected repeated k-fold t-test (Nadeau and Bengio 2003), a row each.

    The predictions have the column `fold`, that each image was left out of; several of one classifier are repetitions.
    Raises DataError where two were not judged in the same folds.
    """
    names = list(sides)
    pairs = [(one, other) for place, one in enumerate(names) for other in names[place + 1 :]]
    rows = [_by_folds((one, other), (sides[one], sides[other]), metric) for one, other in pairs]
    return _corrected(rows)


def _by_folds(
    names: tuple[str, str], sides: tuple[Sequence[Predictions], Sequence[Predictions]], metric: str | None
) -> dict[str, Any]:
    if len(sides[0]) != len(sides[1]):
        raise DataError(
            f"{names[0]} was cross-validated {len(sides[0])} times and {names[1]} {len(sides[1])} times: compare runs "
            "with as many repetitions."
        )
    differences: list[float] = []
    images, folds = 0, 0
    for first, second in zip(*sides, strict=True):
        matched = pair(first, second, names)
        own, other = (np.array(one.column("fold")) for one in (matched.a, matched.b))
        if any(matched.left_out) or (own != other).any():
            raise DataError(
                f"{names[0]} and {names[1]} were not judged in the same folds: train both on the same data with the "
                "same --folds and --seed."
            )
        images, folds = len(own), len(np.unique(own))
        differences += _differences(matched.a, matched.b, own, metric or matched.a.rules.metric)
    defined = [value for value in differences if not np.isnan(value)]
    told, p_value = corrected_t(defined, 1 / max(1, folds - 1), images)
    if not defined:
        told = Estimate(None, None, None, images, "not defined in any fold")
    repeated = f", {len(sides[0])} times" if len(sides[0]) > 1 else ""
    over = f"{folds} folds{repeated}"
    if len(defined) < len(differences):
        tried = f"{len(differences)} ({over})" if repeated else over
        over = f"{len(defined)} of {tried}, as the figure is undefined in the others"
    return _row(names, over, told, p_value, "corrected repeated k-fold t")


def _differences(first: Predictions, second: Predictions, folds: Any, metric: str) -> list[float]:
    chosen, scores = metrics_for(first.task)[metric], (scores_of(first), scores_of(second))
    weights = (folds == np.unique(folds)[:, None]).astype(np.float64)
    return (chosen(scores[1], weights) - chosen(scores[0], weights)).tolist()  # type: ignore[no-any-return]


def over_seeds(values: Mapping[str, Sequence[float]], n: int) -> Rows:
    """Every pair by Welch's t-test (1947) of their figures on val with several seeds, a row each."""
    from scipy.stats import ttest_ind

    names = list(values)
    rows = []
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            first, second = values[one], values[other]
            difference = float(np.mean(second) - np.mean(first))
            if len(set(first)) == 1 and len(set(second)) == 1:
                told, p_value = Estimate(difference, None, None, n, "no interval: all seeds agree"), None
            else:
                tested = ttest_ind(second, first, equal_var=False)
                lo, hi = tested.confidence_interval(0.95)
                told, p_value = Estimate(difference, float(lo), float(hi), n, "Welch's t"), float(tested.pvalue)
            over = f"{len(first)} and {len(second)} seeds, on val"
            rows.append(_row((one, other), over, told, p_value, "Welch's t, of trainings alone"))
    return _corrected(rows)


def over_datasets(table: Mapping[str, Sequence[float]]) -> Rows:
    """Every pair by Wilcoxon's signed ranks over data sets (Demsar 2006), a row each, from figures by classifier."""
    from linnaea.statistics.over_datasets import FEWEST, signed_ranks

    names, rows = list(table), []
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            differences = np.array(table[other]) - np.array(table[one])
            few = f", which {len(differences)} are too few for: {FEWEST} at least" if len(differences) < FEWEST else ""
            mean = mean_over(differences.tolist(), len(differences), "data set", bounds=(-np.inf, np.inf))
            p_value = signed_ranks(differences)
            rows.append(
                _row((one, other), f"{len(differences)} data sets", mean, p_value, f"Wilcoxon signed ranks{few}")
            )
    return _corrected(rows)


def _row(names: tuple[str, str], over: str, told: Estimate, p_value: float | None, test: str) -> dict[str, Any]:
    lack = "" if p_value is not None else f": {told.method}"
    known = {"value": told.value, "lo": told.lo, "hi": told.hi, "p_value": p_value, "test": test + lack}
    return {"first": names[0], "second": names[1], "over": over, **known}


def _corrected(rows: Rows) -> Rows:
    adjusted = holm_of_known([row["p_value"] for row in rows])
    return [row | {"adjusted": p} for row, p in zip(rows, adjusted, strict=True)]
