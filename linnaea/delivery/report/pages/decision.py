"""The section of a yes-or-no question: both curves, the thresholds of each aim, and what answers are worth."""

from typing import Any

from linnaea.delivery.report import origins
from linnaea.delivery.report.charts.band import BandPoint, band_chart
from linnaea.delivery.report.folder import Part
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.tables import Evaluation
from linnaea.delivery.report.words import NOTHING, SHARE, bounds, cell, decimal, number, percent
from linnaea.finding import Finding

CURVES = ("roc", "precision_recall")
FIGURES = ("sensitivity", "specificity", "ppv", "npv")


@PAGES.register(
    "decision", title="Yes or no", order=30, tasks=("binary",), draws=("roc", "precision_recall", "operating_points")
)
def decision(material: Material) -> Part:
    """Between two classes: where the threshold lies, and what others would do."""
    folder, evaluation, described = material.folder, material.evaluation, material.described
    points = evaluation.finding("operating_points")
    if points.missing:
        return points
    classes = origins.classes_of(folder, described)
    content = {
        "summary": points.content.summary,
        "positive": classes[1] if len(classes) == 2 else NOTHING,
        "how": origins.threshold_sentence(described),
        "rows": [_row(row) for row in points.content.rows],
        "charts": _charts(evaluation, classes),
        "tables": [_table(part.content) for name in CURVES if not (part := evaluation.finding(name)).missing],
    }
    return Part(content)


def _row(row: Any) -> dict[str, Any]:
    shown = {name: percent(row.get(name)) for name in FIGURES}
    limits = {name: bounds({"lo": row.get(f"{name}_lo"), "hi": row.get(f"{name}_hi")}, SHARE) for name in FIGURES}
    threshold = number(row.get("threshold"))
    return {
        "aim": cell(row.get("aim")),
        "in_use": bool(row.get("in_use")),
        "threshold": NOTHING if threshold is None else decimal(threshold, 3 if threshold >= 0.01 else 5),
        "figures": [(shown[name], limits[name]) for name in FIGURES],
        "note": str(row.get("note") or ""),
    }


def _charts(evaluation: Evaluation, classes: list[str]) -> list[str]:
    roc, precision_recall = (evaluation.finding(name) for name in CURVES)
    charts = []
    if not roc.missing:
        points, own = _points(roc.content, "false_positive_rate", "sensitivity")
        start = [BandPoint(0.0, 0.0, None, None)] if points else []
        titles = ("ROC: share of positives found", "share of negatives called positive")
        charts.append(band_chart("roc", titles, [*start, *points], own, (0.0, 1.0)))
    if not precision_recall.missing:
        points, own = _points(precision_recall.content, "recall", "precision")
        share = _share_of_positives(evaluation, classes)
        titles = ("Precision: positive answers that are right", "recall: share of positives found")
        charts.append(band_chart("precision-recall", titles, points, own, None if share is None else (share, share)))
    return charts


def _points(finding: Finding, across: str, up: str) -> tuple[list[BandPoint], BandPoint | None]:
    """The points of a curve, and the one in use."""
    points, own = [], None
    for row in finding.rows:
        x, y = number(row.get(across)), number(row.get(up))
        if x is None or y is None:
            continue
        point = BandPoint(x, y, number(row.get("lo")), number(row.get("hi")))
        if row.get("operating_point"):
            own = point
        else:
            points.append(point)
    return points, own


def _share_of_positives(evaluation: Evaluation, classes: list[str]) -> float | None:
    per_class = evaluation.finding("per_class")
    rows = [] if per_class.missing else per_class.content.rows
    counts = {str(row.get("class")): number(row.get("n")) or 0 for row in rows}
    total = sum(counts.values())
    return counts.get(classes[1], 0) / total if len(classes) == 2 and total else None


def _table(finding: Finding) -> dict[str, Any]:
    columns = [name for name in (finding.rows[0] if finding.rows else ()) if name != "operating_point"]
    rows = [row for row in finding.rows if not row.get("operating_point")]
    return {
        "title": {"roc": "ROC", "precision_recall": "Precision and recall"}[finding.name],
        "summary": finding.summary,
        "columns": [name.replace("_", " ") for name in columns],
        "rows": [[decimal(row.get(name)) for name in columns] for row in rows],
    }
