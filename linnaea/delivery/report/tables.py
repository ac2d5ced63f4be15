"""The figures of an evaluation as rows for the page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linnaea.delivery.report.folder import Folder, Part, mapping, pick
from linnaea.delivery.report.words import (
    Metric,
    bounds,
    counted,
    estimate,
    figure,
    in_order,
    metric_named,
    number,
    percent,
)
from linnaea.finding import Finding, promises_in

MOST_CLASSES = 30
MOST_CONFUSIONS = 8
NO_ANSWER = "no answer"


@dataclass(frozen=True)
class Evaluation:
    """The figures of one split: `split` is the headline split, None when nothing was evaluated."""

    split: str | None
    metrics: Part
    findings: Part
    validation: Mapping[str, Any]

    @property
    def where(self) -> str:
        """The file the findings come from."""
        return f"findings/{self.split}.json"

    def finding(self, name: str) -> Part:
        """The finding of this name on the headline split."""
        return pick(self.findings, name, self.where)

    def entry(self, name: str) -> dict[str, Any]:
        """The metric's entry, empty when it was not measured."""
        return mapping(mapping(self.metrics.content).get(name))


def evaluation_of(folder: Folder) -> Evaluation:
    """The evaluation on the test split if there is one, else on the validation split."""
    metrics = folder.json("metrics.json")
    by_split = mapping(metrics.content)
    named = [split for split in ("test", "val") if mapping(by_split.get(split))]
    found = [split for split in ("test", "val") if (folder.path / "findings" / f"{split}.json").is_file()]
    split = next(iter([*named, *found]), None)
    if not metrics.missing and not named:
        metrics = Part(missing=f"metrics.json has figures for neither the test nor the val split. {folder.why()}")
    elif named:
        metrics = Part(by_split[named[0]])
    validation = mapping(by_split.get("val")) if split == "test" else {}
    return Evaluation(split, metrics, folder.findings(split or "test"), validation)


def metric_rows(evaluation: Evaluation, *, in_tree: bool = False) -> list[dict[str, Any]]:
    """A row per metric, the known ones first in their own order, then the others by name."""
    return [
        {"name": name, **_metric_row(metric_named(name, in_tree=in_tree), evaluation.entry(name), validation)}
        for name in in_order(evaluation.metrics.content)
        for validation in [mapping(evaluation.validation.get(name))]
    ]


def promises_of(evaluation: Evaluation) -> tuple[list[Finding], list[Finding]]:
    """What was found about promises on the headline split: what is to be told first, and the rest."""
    return promises_in(evaluation.findings.content or [])


def _metric_row(metric: Metric, entry: Mapping[str, Any], validation: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "metric": metric,
        "value": figure(entry.get("value"), metric),
        "bounds": bounds(entry, metric),
        "bar": bar(entry.get("value"), entry.get("lo"), entry.get("hi")) if metric.bounded else None,
        "n": number(entry.get("n")),
        "method": str(entry.get("method") or ""),
        "validation": estimate(validation, metric) if validation else "",
    }


def bar(value: Any, lo: Any, hi: Any) -> dict[str, float] | None:
    """Where a figure in [0, 1] and its interval lie on a bar 100 wide; None when the figure is not defined."""
    middle = number(value)
    if middle is None:
        return None
    ends = [number(lo), number(hi)]
    low, high = (middle if end is None else end for end in ends)
    places = {"value": middle, "lo": low, "hi": high}
    return {name: round(100 * min(max(place, 0), 1), 1) for name, place in places.items()}


def images_of_each(evaluation: Evaluation) -> list[tuple[str, float]]:
    """Each class or label with the number of images that show it; nothing where that was not written down."""
    found = [evaluation.finding(name) for name in ("per_class", "per_label")]
    rows = [row for part in found if not part.missing for row in part.content.rows]
    return [(str(row.get("class") or row.get("label")), number(row.get("n")) or 0) for row in rows]


def class_rows(finding: Finding) -> list[dict[str, Any]]:
    """A row per class, the weakest recall first; classes without images come last."""
    rows = [
        {**row, **{f"{name}_bar": bar(row.get(name), row.get(f"{name}_lo"), row.get(f"{name}_hi")) for name in SIDES}}
        for row in finding.rows
    ]
    return sorted(rows, key=lambda row: (number(row.get("recall")) is None, number(row.get("recall")) or 0))


SIDES = ("precision", "recall")


@dataclass(frozen=True)
class Confusion:
    """Truths against answers: the matrix (empty above 30 classes) and the most frequent confusions."""

    answers: Sequence[str]
    matrix: Sequence[Mapping[str, Any]]
    worst: Sequence[Mapping[str, Any]]
    kinds: int
    classes: int


def confusion_of(finding: Finding, classes: Sequence[str]) -> Confusion:
    """Count truths against answers, classes in their own order and unknown names after them."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in finding.rows:
        counts[_name(row.get("truth")), _name(row.get("answer"))] += int(number(row.get("count")) or 0)
    totals: Counter[str] = Counter()
    for (truth, _), count in counts.items():
        totals[truth] += count
    seen = {name for pair in counts for name in pair if counts[pair]}
    order = [*classes, *sorted(seen - set(classes))]
    mistakes = [
        {"truth": truth, "answer": answer, "count": count, "share": percent(count / totals[truth])}
        for (truth, answer), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if truth != answer and count
    ]
    few = len(order) <= MOST_CLASSES
    matrix = [_matrix_row(truth, order, counts, totals[truth]) for truth in order if totals[truth]] if few else []
    worst = mistakes[: MOST_CONFUSIONS if few else 3 * MOST_CONFUSIONS]
    return Confusion(order, matrix, worst, len(mistakes), len(order))


def _matrix_row(truth: str, order: Sequence[str], counts: Counter[tuple[str, str]], total: int) -> dict[str, Any]:
    cells = [
        {"count": counts[truth, answer], "share": round(counts[truth, answer] / total, 3), "right": truth == answer}
        for answer in order
    ]
    return {"truth": truth, "total": total, "cells": cells}


def _name(value: Any) -> str:
    return NO_ANSWER if value is None or value == "" else str(value)


def answer_rows(finding: Finding, *, several: bool = False) -> list[dict[str, Any]]:
    """A row per reason code with what it means; `several` says that an image may be given several labels."""
    meanings = REASONS | (OF_LABELS if several else {})
    return [{**row, "meaning": meanings.get(str(row.get("reason")), "")} for row in finding.rows]


REASONS = {
    "ok": "It names a class.",
    "unsure": "It looked, but no class was likely enough to name.",
    "unfamiliar": "The image looks unlike those it learned from.",
    "damaged": "Part of the image is missing; the answer is for what is left of it.",
    "unreadable": "The file could not be decoded; it is listed, never replaced by another.",
    "undefined": "What the model said is not a number: the classifier is broken, or the image breaks it.",
}


OF_LABELS = {
    "ok": "It names the labels, possibly none.",
    "unsure": "It looked, but of at least one label it cannot say whether it is there.",
}


def declined_share(evaluation: Evaluation) -> float | None:
    """Share of images without a named class, from the table of answers or else the rates; None when unknown."""
    answers = evaluation.finding("answers")
    if not answers.missing:
        shares = {str(row.get("reason")): number(row.get("share")) for row in answers.content.rows}
        known = [share for reason, share in shares.items() if reason != "ok" and share is not None]
        if shares:
            return sum(known)
    rates = [number(evaluation.entry(name).get("value")) for name in ("unsure_rate", "unfamiliar_rate")]
    measured = [rate for rate in rates if rate is not None]
    return sum(measured) if measured else None


def split_words(split: str | None) -> str:
    """The split in words: `test images`."""
    return {"test": "test images", "val": "validation images"}.get(split or "", "images")


def images_in(entry: Mapping[str, Any], split: str | None) -> str:
    """The number of images behind a figure: `306 test images`."""
    n = number(entry.get("n"))
    noun = split_words(split)
    return noun if n is None else counted(n, noun.removesuffix("s"))
