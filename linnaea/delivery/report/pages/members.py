"""How far the members of an ensemble agree, where answers are right and where they are wrong."""

from typing import Any

from linnaea.delivery.report.charts.heaps import Heap, heaps_chart
from linnaea.delivery.report.folder import OPENSET, Folder, Part
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import number
from linnaea.finding import Finding

NAME, OF_UNKNOWN = "uncertainty_parts", "unknown_uncertainty_parts"
NAMES = {"right": "right answers", "wrong": "wrong answers", "known": "known", "unknown": "unknown"}
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
    unknown = [
        {"summary": one.summary, "charts": _charts(one, f"unknown{place}", ("known", "unknown"))}
        for place, one in enumerate(_of_unknown(material.folder))
    ]
    return Part({"summary": found.summary, "charts": _charts(found, "members", ("right", "wrong")), "unknown": unknown})


def _of_unknown(folder: Folder) -> list[Finding]:
    """What was found of unknown images, of each folder of them that was looked at."""
    listed = [folder.findings(name).content or [] for name in folder.named_findings(OPENSET)]
    return [finding for findings in listed for finding in findings if finding.name == OF_UNKNOWN]


def _charts(finding: Finding, named: str, kinds: tuple[str, str]) -> list[str]:
    return [
        chart for name, across in SHOWN.items() if (chart := _chart(finding, f"{named}-{name}", name, across, kinds))
    ]


def _chart(finding: Finding, named: str, name: str, across: str, kinds: tuple[str, str]) -> str:
    rows: list[Any] = [row for row in finding.rows if row.get("part") == name]
    edges = [number(row.get("lo")) for row in rows] + [number(row.get("hi")) for row in rows[-1:]]
    heaps = [Heap(NAMES[kind], [number(row.get(kind)) or 0 for row in rows], kind == kinds[1]) for kind in kinds]
    heaps = [heap for heap in heaps if any(heap.counts)]
    if not rows or not heaps or None in edges:
        return ""
    return heaps_chart(named, across, [edge or 0.0 for edge in edges], heaps, None)
