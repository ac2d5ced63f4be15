"""What prediction sets hold, by class and by how hard images are, and where a class is covered less than asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from linnaea.arrays import Flags, Floats, Integers
from linnaea.decisions import OF_EACH_CLASS, Policy
from linnaea.evidence.metrics import Judged, LabelScores, Scores
from linnaea.evidence.metrics.scores import ratio
from linnaea.evidence.outlook import independent_images
from linnaea.evidence.tables import or_none, percent, with_limits
from linnaea.evidence.uncertainty import sample_of
from linnaea.finding import Estimate, Finding
from linnaea.predictions import Predictions
from linnaea.statistics.association import holm
from linnaea.statistics.shares import Shares, shares

BY_CHANCE = 0.05
QUARTERS = ("surest quarter", "second quarter", "third quarter", "least sure quarter")
MOST_TOLD = 3
LARGEST = 6  # a size of this or more is told as one


@dataclass(frozen=True, eq=False)
class Held:
    """Prediction sets of n images: which have one, the share of its truth that each holds, and sizes; arrays (n,)."""

    given: Flags
    share: Floats
    sizes: Floats

    @classmethod
    def of(cls, predictions: Predictions, scores: Judged) -> "Held":
        """Those of predictions; of several labels the share is that of an image's labels, NaN where it shows none."""
        if isinstance(scores, LabelScores):
            given, held = label_sets(predictions)
            there = scores.there.sum(axis=1).astype(np.float64)
            share = ratio((scores.there & held).sum(axis=1).astype(np.float64), there)
            return cls(given, share, held.sum(axis=1).astype(np.float64))
        given, holds, sizes = prediction_sets(predictions)
        return cls(given, holds.astype(np.float64), sizes)


def set_findings(predictions: Predictions, scores: Judged, policy: Policy | None) -> list[Finding]:
    """The findings `set_classes`, `set_difficulty` and `set_sizes`; none where there are no prediction sets.

    The first is a warning where a class is covered less than the policy was asked for, by more than chance.
    """
    held = Held.of(predictions, scores)
    used = held.given & ~np.isnan(held.share)
    if not used.any():
        return []
    sample = sample_of(predictions)
    units = None if sample.groups is None else sample.groups
    return [
        _by_class(predictions, scores, held, policy, units),
        _by_difficulty(predictions, held, used, units),
        _by_size(held, used, units),
    ]


def _by_class(
    predictions: Predictions, scores: Judged, held: Held, policy: Policy | None, units: Integers | None
) -> Finding:
    """Coverage of each class and, of one label per image, the mean size of the sets of its images."""
    classes = len(predictions.classes)
    if isinstance(scores, LabelScores):
        rows, places = np.nonzero(scores.there & held.given[:, None])
        hits: Floats = label_sets(predictions)[1][rows, places].astype(np.float64)
    else:
        assert isinstance(scores, Scores), "with one label per image"
        rows = np.flatnonzero(held.given)
        places, hits = scores.targets[rows], held.share[rows]
    told = shares(places, hits, classes, None if units is None else units[rows])
    sizes = np.bincount(places, held.sizes[rows], classes).astype(np.float64)
    columns = {
        "class": list(predictions.classes),
        "n": told.images.astype(int).tolist(),
        **with_limits("coverage", told),
        "mean_size": or_none(ratio(sizes, told.images)),
    }
    table = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    asked = policy.coverage if policy is not None and policy.n else None
    if asked is None:
        return Finding("set_classes", _least(table), count=len(rows), rows=table)
    for row, adjusted in zip(table, holm(_p_values(told, asked)), strict=True):
        row |= {"asked": asked, "p_of_less": adjusted}
    less = sorted((row for row in table if row["p_of_less"] < BY_CHANCE), key=lambda row: float(row["coverage"]))
    summary = _told_of_less(less, asked, classes, policy) if less else f"{_least(table)} {_no_less(asked)}"
    return Finding("set_classes", summary, "warning" if less else "info", len(rows), rows=table)


def _p_values(told: Shares, asked: float) -> list[float]:
    """For each class (C,) the p-value of a coverage of no less than asked: exact binomial, of independent images.

    Where images come in groups, of as many independent ones as give the interval.
    """
    from scipy.stats import binom

    found = []
    for value, lo, hi, images in zip(told.value, told.lo, told.hi, told.images, strict=True):
        if not images or np.isnan(lo):
            found.append(1.0)
            continue
        count = independent_images(Estimate(float(value), float(lo), float(hi), int(images), ""))
        count = max(1, min(round(count), int(images)))
        found.append(float(binom.cdf(round(float(value) * count), count, asked)))
    return found


def _least(table: Sequence[dict[str, Any]]) -> str:
    seen = [row for row in table if row["n"]]
    if not seen:
        return "No class has an image with a prediction set."
    least = min(seen, key=lambda row: (row["coverage"], -row["n"]))
    return f"The class covered least is {_worded(least)}."


def _no_less(asked: float) -> str:
    return f"No class is covered less than the {_number(asked)} that was asked for by more than chance."


def _told_of_less(less: Sequence[dict[str, Any]], asked: float, classes: int, policy: Policy | None) -> str:
    named = "; ".join(_worded(row) for row in less[:MOST_TOLD]) + ("; ..." if len(less) > MOST_TOLD else "")
    known = policy is not None and (policy.sets in OF_EACH_CLASS or policy.sets == "risk")
    advice = " It was asked for over all classes together; --sets class_conditional asks it of each." * (not known)
    return (
        f"{len(less)} of {classes} classes {'is' if len(less) == 1 else 'are'} covered less than the {_number(asked)} "
        f"that was asked for, by more than chance (one-sided exact tests, Holm, p < {BY_CHANCE}): {named}.{advice}"
    )


def _worded(row: dict[str, Any]) -> str:
    lo, hi = row["coverage_lo"], row["coverage_hi"]
    limits = "" if lo is None else f" ({100 * lo:.1f} to {100 * hi:.1f})"
    return f"{row['class']}, {percent(row['coverage'])}{limits} of {row['n']:,} images"


def _number(share: float) -> str:
    return f"{100 * share:.4g} %"


def _by_difficulty(predictions: Predictions, held: Held, used: Flags, units: Integers | None) -> Finding:
    """Coverage and size in each quarter of the images by confidence."""
    rows = np.flatnonzero(used)
    confidence = predictions.table.column("confidence").to_numpy().astype(np.float64)[rows]
    order = np.argsort(-confidence, kind="stable")
    places = np.empty(len(rows), dtype=np.int64)
    places[order] = np.arange(len(rows)) * len(QUARTERS) // len(rows)
    table = _rows(held, rows, places, len(QUARTERS), units)
    for place, row in enumerate(table):
        own = confidence[places == place]
        ends = {"confidence_from": float(own.min()), "confidence_to": float(own.max())} if len(own) else {}
        table[place] = {"images": QUARTERS[place], **ends, **row}
    seen = [row for row in table if row["n"]]
    first, last = seen[0], seen[-1]
    summary = (
        f"Sets of the {first['images']} of images hold {first['mean_size']:.2f} classes on average and the truth for "
        f"{percent(first['coverage'])}; of the {last['images']} it is {last['mean_size']:.2f} and "
        f"{percent(last['coverage'])}."
    )
    return Finding("set_difficulty", summary, count=len(rows), rows=seen)


def _by_size(held: Held, used: Flags, units: Integers | None) -> Finding:
    """Coverage of sets of each size (Angelopoulos et al. 2021)."""
    rows = np.flatnonzero(used)
    places = np.minimum(held.sizes[rows], LARGEST).astype(np.int64)
    table = _rows(held, rows, places, LARGEST + 1, units)
    named = [{"size": f"{size} or more" if size == LARGEST else str(size), **row} for size, row in enumerate(table)]
    seen = [row for row in named if row["n"]]
    single = next((row["n"] for row in seen if row["size"] == "1"), 0)
    summary = f"{percent(single / len(rows))} of the sets name one class."
    return Finding("set_sizes", summary, count=len(rows), rows=seen)


def _rows(held: Held, rows: Integers, places: Integers, count: int, units: Integers | None) -> list[dict[str, Any]]:
    told = shares(places, held.share[rows], count, None if units is None else units[rows])
    sizes = np.bincount(places, held.sizes[rows], count).astype(np.float64)
    columns = {
        "n": told.images.astype(int).tolist(),
        **with_limits("coverage", told),
        "mean_size": or_none(ratio(sizes, told.images)),
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def prediction_sets(predictions: Predictions) -> tuple[Flags, Flags, Floats]:
    """Whether each image has a prediction set, whether it holds the truth, and its size; arrays (n,)."""
    nothing = np.zeros(len(predictions))
    if not predictions.has("prediction_set") or pa.types.is_null(predictions.table.schema.field("prediction_set").type):
        return nothing.astype(bool), nothing.astype(bool), nothing
    sets = predictions.table.column("prediction_set").combine_chunks()
    sizes = pc.fill_null(pc.list_value_length(sets), 0).to_numpy().astype(np.float64)
    owners = pc.list_parent_indices(sets)
    own = pc.equal(pc.list_flatten(sets), predictions.table.column("truth").combine_chunks().take(owners))
    holds = np.bincount(owners.to_numpy()[own.to_numpy(zero_copy_only=False)], minlength=len(predictions)) > 0
    return np.asarray(sets.is_valid()), holds, sizes


def label_sets(predictions: Predictions) -> tuple[Flags, Flags]:
    """Whether each image has a prediction set (n,), and which labels it holds (n, K)."""
    index = {name: number for number, name in enumerate(predictions.classes)}
    known = predictions.has("prediction_set")
    sets = predictions.column("prediction_set") if known else [None] * len(predictions)
    held = np.zeros((len(sets), len(index)), dtype=bool)
    for row, members in enumerate(sets):
        held[row, [index[name] for name in members or ()]] = True
    return np.array([members is not None for members in sets], dtype=bool), held
