"""How far the members of an ensemble agree, where answers are right and where they are wrong."""

from typing import Any

from linnaea.delivery.report.charts import Heap, heaps_chart
from linnaea.delivery.report.folder import Part
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import number
from linnaea.finding import Finding

NAME = "uncertainty_parts"
SHOWN = {
    "epistemic_uncertainty": "epistemic: how far members disagree, nats",
    "aleatoric_uncertainty": "aleatoric: how unsure each member is, nats",
    "total_uncertainty": "total, nats",
}


@PAGES.register("members", title="What more images could teach", order=95, draws=("uncertainty_parts",))
def members(material: Material) -> Part | None:
    """The parts of uncertainty; only of a classifier that answers by several members."""
    found = next((one for one in material.evaluation.findings.content or [] if one.name == NAME), None)
    if found is None:
        return None
    charts = [chart for name, across in SHOWN.items() if (chart := _chart(found, name, across))]
    return Part({"summary": found.summary, "charts": charts})


def _chart(finding: Finding, name: str, across: str) -> str:
    rows: list[Any] = [row for row in finding.rows if row.get("part") == name]
    edges = [number(row.get("lo")) for row in rows] + [number(row.get("hi")) for row in rows[-1:]]
    heaps = [
        Heap(f"{kind} answers", [number(row.get(kind)) or 0 for row in rows], kind == "wrong")
        for kind in ("right", "wrong")
    ]
    heaps = [heap for heap in heaps if any(heap.counts)]
    if not rows or not heaps or None in edges:
        return ""
    return heaps_chart(f"members-{name}", across, [edge or 0.0 for edge in edges], heaps, None)
