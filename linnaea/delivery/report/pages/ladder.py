"""The ladder: every way that was tried, with its cost."""

from collections.abc import Mapping
from typing import Any

from linnaea.delivery.report.charts.ladder import Rung, ladder_chart
from linnaea.delivery.report.folder import Part
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import interval, metric_named, number


@PAGES.register("ladder", title="The ladder", order=10)
def ladder(material: Material) -> Part:
    """The rows of the ladder and its chart; the chart is empty when it has nothing to show."""
    ladder = material.ladder
    if ladder.missing:
        return ladder
    names = {str(row.get("metric")) for row in ladder.content if row.get("metric")}
    rungs = [rung for row in ladder.content if (rung := _rung(row)) is not None]
    metric = metric_named(sorted(names)[0]) if len(names) == 1 else None
    chart = ladder_chart(rungs, metric.title.lower(), metric.share) if metric and rungs else ""
    return Part({"rows": ladder.content, "chart": chart})


def _rung(row: Mapping[str, Any]) -> Rung | None:
    value, seconds = number(row.get("value")), number(row.get("seconds"))
    if value is None or seconds is None:
        return None
    limits = interval(row, "lo", "hi")
    return Rung(str(row.get("rung")), value, limits, seconds, row.get("chosen") == "yes")
