"""What compression won and what it cost, as pictures: the metric against time, size and energy."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from linnaea.delivery.report.charts.scatter import Spot, scatter_chart
from linnaea.delivery.report.folder import Part
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import Metric, cell, interval, metric_named, number

POINTS, SEARCH = "compression_points", "compression_search"
TIME = "milliseconds"  # by which the front of a search is told
COSTS = (
    (TIME, "ms for one image on this machine"),
    ("megabytes", "MB of weights"),
    ("joules", "J for one image in batches"),
)
NO_ENERGY = "Energy was not measured here: this machine has no counter of it that can be read."


@PAGES.register("pareto", title="Worth against cost", order=59)
def pareto(material: Material) -> Part | None:
    """A picture for each cost that was measured; only of a run that was made by `compress`."""
    if not (material.folder.path / "findings" / "compression.json").is_file():
        return None
    found = material.folder.findings("compression")
    if found.missing or not found.content:
        return Part(missing=found.missing or "findings/compression.json is empty.")
    rows = {finding.name: finding.rows for finding in found.content}
    points, seen = rows.get(POINTS, []), rows.get(SEARCH, [])
    compared = rows.get("compression") or [{}]
    metric = metric_named(cell(compared[0].get("measure")))
    charts = [chart for key, across in COSTS if (chart := _chart(key, across, points, seen, metric))]
    measured = any(number(row.get("joules")) is not None for row in points)
    return Part({"charts": charts, "energy": "" if measured else NO_ENERGY, "searched": bool(seen)})


def _chart(key: str, across: str, points: Sequence[Any], seen: Sequence[Any], metric: Metric) -> str:
    """The chart of one cost; "" where it was not measured."""
    spots = [*_searched(key, seen), *_reached(key, points)]
    title = f"{metric.title.lower()} on val"
    return scatter_chart(f"pareto-{key}", title, across, spots, as_percent=metric.share) if spots else ""


def _reached(key: str, points: Sequence[Mapping[str, Any]]) -> Iterator[Spot]:
    """Before any method, and after each: the last was kept."""
    for place, row in enumerate(points, 1):
        value, cost = number(row.get("value")), number(row.get(key))
        if value is not None and cost is not None:
            kept = place == len(points)
            yield Spot(cell(row.get("name")), value, interval(row, "lo", "hi"), cost, accented=kept, reached=True)


def _searched(key: str, seen: Sequence[Mapping[str, Any]]) -> Iterator[Spot]:
    """Networks of a search that were trained, for an epoch."""
    for row in seen:
        value, cost = number(row.get("value")), number(row.get(key))
        if value is not None and cost is not None:
            yield Spot(
                cell(row.get("name")),
                value,
                interval(row, "lo", "hi"),
                cost,
                front=key == TIME and bool(row.get("front")),
            )
