"""The section of a taxonomy: the tree with what was answered at each node, and its levels."""

from typing import Any

from linnaea.delivery.report.folder import Part
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.tables import bar
from linnaea.delivery.report.words import SHARE, bounds, decimal, number, percent, whole
from linnaea.finding import Finding

MOST_NODES = 150
SHARES = ("recall", "precision")


@PAGES.register("tree", title="The tree", order=40, tasks=("hierarchical",), draws=("tree", "levels"))
def tree(material: Material) -> Part:
    """The nodes of the taxonomy from the top, with how well each is found, and the levels."""
    nodes, levels = (material.evaluation.finding(name) for name in ("tree", "levels"))
    if nodes.missing:
        return nodes
    shown = _from_the_top(nodes.content)
    content = {
        "summary": nodes.content.summary,
        "rows": [_row(row, nodes.content.count) for row in shown],
        "left_out": len(nodes.content.rows) - len(shown),
        "levels": [] if levels.missing else [_level(row) for row in levels.content.rows],
        "levels_summary": "" if levels.missing else levels.content.summary,
    }
    return Part(content)


def _from_the_top(finding: Finding) -> list[Any]:
    """The rows down to a depth at which they can still be read."""
    depths = sorted(int(number(row.get("depth")) or 0) for row in finding.rows)
    deepest = depths[-1] if len(depths) <= MOST_NODES else depths[MOST_NODES] - 1
    return [row for row in finding.rows if (number(row.get("depth")) or 0) <= max(deepest, 1)]


def _row(row: Any, images: int) -> dict[str, Any]:
    name, parent = str(row.get("node")), str(row.get("parent") or "")
    stops = number(row.get("stops")) or 0
    return {
        "name": name.removeprefix(f"{parent}/"),
        "whole_name": name,
        "depth": int(number(row.get("depth")) or 0),
        "group": not row.get("class"),
        "n": whole(row.get("n")),
        "stops": whole(stops),
        "stops_share": percent(stops / images) if images else "",
        "shares": [_share(row, column) for column in SHARES],
    }


def _share(row: Any, column: str) -> dict[str, Any]:
    lo, hi = row.get(f"{column}_lo"), row.get(f"{column}_hi")
    return {
        "value": percent(row.get(column)),
        "limits": bounds({"lo": lo, "hi": hi}, SHARE),
        "bar": bar(row.get(column), lo, hi),
    }


def _level(row: Any) -> dict[str, Any]:
    wrong = number(row.get("wrong_of_stops"))
    return {
        "level": decimal(row.get("level"), 0),
        "nodes": whole(row.get("nodes")),
        "accuracy": _share(row, "accuracy"),
        "stops": whole(row.get("stops")),
        "wrong": percent(wrong),
    }
