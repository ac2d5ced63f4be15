"""What a fairness method costs and gains: all images against the worst group, without it and with it."""

from typing import Any

from linnaea.delivery.report.charts.dots import Dot, dots_chart
from linnaea.delivery.report.folder import FAIRNESS, Part
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import SHARE, cell, interval, number, percent, whole
from linnaea.delivery.report.words import limits as limits_of


@PAGES.register("trade_off", title="What fairness costs", order=66)
def trade_off(material: Material) -> Part | None:
    """The accuracy of both ways; only of a run that was trained with a fairness method."""
    if not (material.folder.path / "findings" / f"{FAIRNESS}.json").is_file():
        return None
    found = material.folder.findings(FAIRNESS)
    if found.missing or not found.content:
        return Part(missing=found.missing or f"findings/{FAIRNESS}.json is empty.")
    finding = found.content[0]
    dots = [dot for row in finding.rows for dot in _dots(row)]
    return Part(
        {
            "summary": finding.summary,
            "chart": dots_chart("trade-off", "Accuracy on val", dots, None, SHARE.share) if dots else "",
            "rows": [_row(row) for row in finding.rows],
        }
    )


def _dots(row: Any) -> list[Dot]:
    way = cell(row.get("way"))
    ways = (("accuracy", f"all images, {way}", False), ("worst", f"worst group, {way}", True))
    return [
        Dot(name, number(row.get(key)) or 0.0, interval(row, f"{key}_lo", f"{key}_hi"), accented)
        for key, name, accented in ways
        if number(row.get(key)) is not None
    ]


def _row(row: Any) -> dict[str, str]:
    return {
        "way": cell(row.get("way")),
        "accuracy": percent(row.get("accuracy")),
        "accuracy_limits": limits_of(row, "accuracy"),
        "worst": percent(row.get("worst")),
        "worst_limits": limits_of(row, "worst"),
        "group": cell(row.get("group")),
        "gap": percent(row.get("gap")),
        "n": whole(row.get("n")),
    }
