"""The sections of a run whose images may show several labels: each label, pairs of them, confidence, mistakes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from linnaea.delivery.report.folder import Folder, Part
from linnaea.delivery.report.sections import Stated, drawn, illustrated, reliability_of
from linnaea.delivery.report.tables import Evaluation
from linnaea.delivery.report.words import SPACE, number
from linnaea.finding import Finding

MOST_PAIRS = 15
STATED = Stated(
    "share that is present",
    "decisions",
    "stated probability",
    "If a probability means what it says, the points lie on the dashed line: of all labels given a probability of "
    f"80{SPACE}%, 80{SPACE}% are present. The bars count the decisions behind each point, one per image and label.",
    ("Probability", "Present", "Decisions"),
)


def label_sections(folder: Folder, evaluation: Evaluation) -> dict[str, Part]:
    """The sections `labels`, `together`, `reliability` and `mistakes`, made from the findings of the headline split."""
    makers: dict[str, tuple[str, Callable[[Finding], Any]]] = {
        "labels": ("per_label", _label_rows),
        "together": ("co_occurrence", lambda finding: list(finding.rows)[:MOST_PAIRS]),
        "mistakes": ("mistakes", lambda finding: illustrated(folder, finding)),
    }
    parts = {section: drawn(evaluation.finding(name), draw) for section, (name, draw) in makers.items()}
    return {**parts, "reliability": _reliability(evaluation.finding("reliability"))}


def _label_rows(finding: Finding) -> list[dict[str, Any]]:
    """A row per label, the lowest average precision first; labels without one come last."""
    figures = [number(row.get("average_precision")) for row in finding.rows]
    order = sorted(range(len(figures)), key=lambda row: (figures[row] is None, figures[row] or 0))
    return [dict(finding.rows[row]) for row in order]


def _reliability(part: Part) -> Part:
    if part.missing:
        return part
    finding = replace(part.content, rows=[_as_answers(row) for row in part.content.rows])
    return Part(reliability_of(finding, STATED))


def _as_answers(row: Mapping[str, Any]) -> dict[str, Any]:
    """A bin of label decisions under the names that a bin of answers has."""
    names = {"confidence": "probability", "accuracy": "share", "accuracy_lo": "share_lo", "accuracy_hi": "share_hi"}
    return {**row, **{name: row.get(source) for name, source in names.items()}}
