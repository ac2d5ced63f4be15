"""The tables a report draws from predictions, each a finding with one plain sentence."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from linnaea.arrays import Floats, Integers
from linnaea.decisions import UNDEFINED
from linnaea.evidence.metrics.binned import Binned, decisions_of
from linnaea.evidence.metrics.scores import BINS, Scores, confidence_of, ratio, totals
from linnaea.evidence.metrics.trees import TreeScores
from linnaea.evidence.outlook import TIMES, with_more_images
from linnaea.evidence.uncertainty import sample_of
from linnaea.finding import Estimate, Finding
from linnaea.predictions import REASONS, Predictions
from linnaea.statistics.shares import Shares, share_at
from linnaea.statistics.spread import Sample

MOST_MISTAKES = 48
MOST_NAMED = 5
BY_CHANCE = 0.05
OF_CLASSES = " Where a group was answered, its most probable class counts here."


def findings(predictions: Predictions, scores: Scores) -> list[Finding]:
    """The findings `per_class`, `confusion`, `reliability`, `mistakes`, `answers`, and `unreadable` if any is.

    Where classes lie below groups, tables of classes are of the most probable one, as they say; a mistake is an answer
    that is neither the class nor a group above it.
    """
    groups, note = sample_of(predictions).groups, OF_CLASSES if isinstance(scores, TreeScores) else ""
    tables = [
        _per_class(predictions, scores, groups, note),
        _confusion(predictions, scores, note),
        _reliability(scores, sample_of(predictions)),
        _mistakes(predictions, scores),
        answers(predictions),
    ]
    return tables if scores.readable.all() else [*tables, unreadable(predictions, "a wrong answer")]


def _per_class(predictions: Predictions, scores: Scores, groups: Integers | None, note: str) -> Finding:
    recall = share_at(scores.targets, scores.hits, scores.classes, groups)
    precision = share_at(scores.answers, scores.hits, scores.classes, groups)
    right = totals(np.ones((1, len(scores))), scores.targets, scores.classes, scores.hits)[0]
    columns: dict[str, list[Any]] = {
        "class": list(predictions.classes),
        "n": recall.images.astype(int).tolist(),
        **with_limits("precision", precision),
        **with_limits("recall", recall),
        **with_outlook("recall", recall),
        "f1": or_none(ratio(2 * right, recall.images + precision.images)),
    }
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Finding("per_class", _weakest(rows) + note, count=len(scores), rows=rows)


def _weakest(rows: list[dict[str, Any]]) -> str:
    seen, unseen = ([row for row in rows if bool(row["n"]) == there] for there in (True, False))
    if not seen:
        return "No class has any image."
    lacking = f" {_listed([row['class'] for row in unseen])} cannot be judged: there is no image." if unseen else ""
    weakest = min(seen, key=lambda row: (row["recall"], -row["n"]))
    if weakest["recall"] == 1:
        least = min(seen, key=lambda row: row["n"])
        told = f"No class has a wrong answer; {least['class']} has the fewest, n = {least['n']}."
        return told + lacking
    weak = f"The weakest class is {weakest['class']}: recall {percent(weakest['recall'])}, n = {weakest['n']}."
    return weak + lacking


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")


def _confusion(predictions: Predictions, scores: Scores, note: str) -> Finding:
    names = [*predictions.classes, "no answer", "unreadable"]
    answers = np.where(scores.answers >= 0, scores.answers, scores.classes)
    answers = np.where(predictions.answered("unreadable"), scores.classes + 1, answers)
    cells, counts = np.unique(scores.targets * len(names) + answers, return_counts=True)
    places = zip(*np.divmod(cells, len(names)), counts.tolist(), strict=True)
    rows = [{"truth": names[truth], "answer": names[answer], "count": count} for truth, answer, count in places]
    confused = [row for row in rows if row["truth"] != row["answer"] and row["answer"] in predictions.classes]
    mistakes = sum(row["count"] for row in confused)
    if not confused:
        return Finding("confusion", f"No image was mistaken for another class.{note}", rows=rows)
    worst = max(confused, key=lambda row: row["count"])
    summary = (
        f"Most often {worst['truth']} was mistaken for {worst['answer']}: {worst['count']} of {mistakes} confusions."
    )
    return Finding("confusion", summary + note, count=mistakes, rows=rows)


def with_band(binned: Binned) -> dict[str, list[Any]]:
    """Columns of where the share that is true would lie in each of 15 bins, if what was stated were right."""
    low, high = np.full(BINS, np.nan), np.full(BINS, np.nan)
    if binned.images:
        used = np.unique(binned.places)
        low[used], high[used] = binned.bands()
    return {"band_lo": or_none(low), "band_hi": or_none(high)}


def more_than_chance(binned: Binned) -> str:
    """A sentence on whether what was stated is contradicted by what is true."""
    p = binned.in_equal_mass().p_value()
    if p < BY_CHANCE:
        return f" That confidence means what it says is contradicted by these images (p = {p:.3f})."
    return f" These images do not contradict that confidence means what it says (p = {p:.2f})."


def _reliability(scores: Scores, sample: Sample) -> Finding:
    read, groups, binned = scores.take(scores.readable), sample.groups, decisions_of(scores, sample)
    accuracy = share_at(read.bins, read.hits, BINS, None if groups is None else groups[scores.readable])
    ones, edges = np.ones((1, len(read))), np.linspace(0, 1, BINS + 1)
    columns = {
        "lo": edges[:-1].tolist(),
        "hi": edges[1:].tolist(),
        "confidence": or_none(ratio(totals(ones, read.bins, BINS, read.confidence)[0], accuracy.images)),
        **with_limits("accuracy", accuracy),
        **with_band(binned),
        "n": accuracy.images.astype(int).tolist(),
    }
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if not len(read):
        return Finding("reliability", "No image could be read.")
    sure, right = percent(read.confidence.mean()), percent(read.hits.mean())
    summary = f"The mean confidence is {sure} where {right} of the answers are right."
    if isinstance(scores, TreeScores):
        summary = (
            f"The mean probability of the most probable class is {sure} where it is right for {right} of the images."
        )
    summary += more_than_chance(binned)
    return Finding("reliability", summary, count=len(read), rows=[row for row in rows if row["n"]])


def _mistakes(predictions: Predictions, scores: Scores) -> Finding:
    wrong, confidence = np.flatnonzero(scores.mistaken), confidence_of(predictions)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:MOST_MISTAKES]
    rows = [
        {
            "id": told["id"],
            "truth": told["truth"],
            "label": told["label"],
            "confidence": float(confidence[row]),
            "truth_probability": float(scores.probabilities[row, scores.targets[row]]),
        }
        for row, told in zip(worst.tolist(), predictions.rows(worst, "id", "truth", "label"), strict=True)
    ]
    if not rows:
        return Finding("mistakes", f"None of {scores.readable.sum():,} readable images has a wrong answer.")
    first = rows[0]
    summary = (
        f"{len(wrong):,} of {scores.readable.sum():,} readable images have a wrong answer; the most confident mistake "
        f"is {first['truth']} mistaken for {first['label']} with confidence {first['confidence']:.3f}."
    )
    return Finding("mistakes", summary, count=len(wrong), rows=rows, images=[row["id"] for row in rows])


def answers(predictions: Predictions) -> Finding:
    """The finding `answers`: how many images got each reason."""
    counts = {name: int(predictions.answered(name).sum()) for name in REASONS}
    n = len(predictions)
    told = [name for name in REASONS if counts[name] or name not in ("damaged", UNDEFINED)]
    rows = [{"reason": name, "count": counts[name], "share": counts[name] / n if n else None} for name in told]
    summary = (
        f"{percent(counts['ok'] / n)} of {n:,} images got an answer with reason ok." if n else "There are no images."
    )
    return Finding("answers", summary, count=n, rows=rows)


def unreadable(predictions: Predictions, counted_as: str) -> Finding:
    """The finding `unreadable`: the images without an answer, why, and what each is `counted_as`."""
    names = [name for name in ("id", "detail") if predictions.has(name)]
    told = predictions.rows(np.flatnonzero(~predictions.readable), *names)
    rows = [{"id": row["id"], "detail": row.get("detail")} for row in told]
    lost, undefined = (int(predictions.answered(name).sum()) for name in ("unreadable", UNDEFINED))
    causes = [f"{lost:,} of {len(predictions):,} images could not be read"] if lost or not undefined else []
    causes += [f"the model's output for {undefined:,} is not a number"] if undefined else []
    summary = f"{', and '.join(causes)}; each counts as {counted_as}."
    return Finding("unreadable", summary, "warning", len(rows), rows=rows, images=[row["id"] for row in rows])


def percent(share: float) -> str:
    """A share in [0, 1] as text, such as "94.1 %"."""
    return f"{100 * share:.1f} %"


def with_limits(name: str, told: Shares) -> dict[str, list[Any]]:
    """Shares and their limits as columns named after them."""
    return {name: or_none(told.value), f"{name}_lo": or_none(told.lo), f"{name}_hi": or_none(told.hi)}


def with_outlook(name: str, told: Shares) -> dict[str, list[Any]]:
    """The limits that shares would have from twice and four times the images, as columns named after them.

    Should each share stay where it is, and further images come as these did.
    """
    columns: dict[str, list[Any]] = {}
    known = list(zip(*map(or_none, (told.value, told.lo, told.hi)), told.images.astype(int).tolist(), strict=True))
    for times, factor in TIMES.items():
        ends = [
            (None, None) if value is None or lo is None else with_more_images(Estimate(value, lo, hi, n, ""), factor)
            for value, lo, hi, n in known
        ]
        columns |= {f"{name}_{times}_{end}": [pair[side] for pair in ends] for side, end in enumerate(("lo", "hi"))}
    return columns


def or_none(values: Floats) -> list[float | None]:
    """The values as a list with None in place of NaN."""
    return [None if np.isnan(value) else value for value in values.tolist()]
