"""Images of a run that somebody should look at: what it got wrong on val, was in doubt about, or its audit names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnaea.data.review import Facts
from linnaea.delivery.reviewing.items import STRANGE, Item, doubt_of, why_of
from linnaea.errors import DataError
from linnaea.predictions import label_text
from linnaea.run import Run

LABELS = ("label_errors", "duplicates_across_classes", "outliers", "one_level_too_high")  # findings about labels
WRONG = "the answer differs from the label"


def items_of_run(run: Run) -> tuple[list[Item], dict[str, int]]:
    """What to look at among the run's own images; those of test only where the audit names them.

    Raises DataError where there is nothing, or the images are no longer there.
    """
    dataset = run.dataset()
    given, hashes = (dict(zip(dataset.ids, dataset.column(name), strict=True)) for name in ("label", "sha256"))
    places = dict(zip(dataset.ids, dataset.paths, strict=True))
    found = _flagged(run) | _in_doubt(run)
    for name, (doubt, why, _) in _flagged(run).items():
        if name in found and found[name][1] != why:
            found[name] = (max(doubt, found[name][0]), f"{why}; {found[name][1]}", found[name][2])
    items = [
        Item(places[name], doubt, why, facts, label_text(given[name]), hashes[name] or "")
        for name, (doubt, why, facts) in found.items()
        if name in places
    ]
    if not items:
        raise DataError(
            f"the audit of {run.folder} names no image, and its answers on val are right and sure: give images with "
            "--from."
        )
    there = [item for item in items if not isinstance(item.path, Path) or item.path.is_file()]
    if not there:
        raise DataError(f"the images of the run are no longer in {dataset.root}: put them back, or give --from.")
    return there, {"no longer there": len(items) - len(there)} if len(there) < len(items) else {}


def _flagged(run: Run) -> dict[str, tuple[float, str, Facts]]:
    """What findings of the audit say about labels: the doubt, in words, and what is known, by path."""
    found = {}
    for finding in run.findings("audit"):
        if finding.name in LABELS:
            for row in finding.rows:
                if row.get("path"):
                    found[str(row["path"])] = (max(STRANGE, _share(row)), finding.name.replace("_", " "), _facts(row))
    return found


def _share(row: Mapping[str, Any]) -> float:
    score = row.get("score")
    return float(score) if isinstance(score, int | float) and 0 <= score <= 1 else STRANGE


def _facts(row: Mapping[str, Any]) -> Facts:
    suggestion = row.get("suggestion")
    return Facts(was="" if suggestion is None else label_text(suggestion), reason="flagged")


def _in_doubt(run: Run) -> dict[str, tuple[float, str, Facts]]:
    """Answers on val that are wrong, or in doubt, by path."""
    answers = run.predictions("val")
    columns = [answers.column(name) for name in ("id", "truth", "label", "confidence", "reason")]
    found = {}
    for name, truth, label, confidence, reason in zip(*columns, strict=True):
        wrong = truth is not None and label is not None and truth != label
        if reason == "ok" and not wrong:
            continue
        doubt, why = doubt_of(reason, confidence), why_of(reason, confidence)
        if wrong:  # the surer the answer, the likelier it is that the label is wrong
            doubt, why = max(doubt, STRANGE, confidence or 0.0), WRONG if reason == "ok" else f"{WRONG}; {why}"
        was = "" if label is None else label_text(label)
        found[str(name)] = (doubt, why, Facts(was, confidence, reason))
    return found
