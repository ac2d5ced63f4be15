"""The section of unknown images: how far their scores lie from those of known ones, and the nearest and farthest."""

from dataclasses import dataclass
from typing import Any

from linnaea.delivery.report.charts.heaps import Heap, heaps_chart
from linnaea.delivery.report.folder import OPENSET, Folder, Part, mapping
from linnaea.delivery.report.found import illustrated
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import NOTHING, bounds, cell, figure, metric_named, number, whole
from linnaea.finding import Finding

OWN, DISTRIBUTION, SCORES = "openset", "openset_distribution", "openset_scores"
PICTURES = {"most_familiar_unknown": "Unknown, and most familiar", "strangest_known": "Known, and most unfamiliar"}
FIGURES = ("auroc", "aupr", "fpr_at_95_tpr", "oscr")
MOST_PICTURES = 12


@PAGES.register("strangers", title="What it does not know", order=130)
def strangers(material: Material) -> Part | None:
    """How far unknown images lie from known ones; only of a run that was shown some."""
    folder = material.folder
    names = folder.named_findings(OPENSET)
    if not names:
        return None
    parts = [folder.findings(name) for name in names]
    missing = " ".join(part.missing for part in parts if part.missing)
    threshold = number(mapping(material.described.get("policy")).get("ood_threshold"))
    shown = [
        _shown(folder, _Group(place, name, threshold), part.content)
        for place, (name, part) in enumerate(zip(names, parts, strict=True))
        if not part.missing
    ]
    return Part(shown, "" if shown else missing)


@dataclass(frozen=True)
class _Group:
    """Unknown images of one kind: their place on the page, the name of their findings, the threshold in use."""

    place: int
    name: str
    threshold: float | None


def _shown(folder: Folder, group: _Group, findings: list[Finding]) -> dict[str, Any]:
    found = {finding.name: finding for finding in findings}
    own, distribution, scores = (found.get(wanted) for wanted in (OWN, DISTRIBUTION, SCORES))
    return {
        "title": _title(group.name),
        "summary": own.summary if own else "",
        "figures": [_figure(row) for row in own.rows] if own else [],
        "chart": _chart(group, distribution) if distribution and distribution.rows else "",
        "scores": [_score(row) for row in scores.rows] if scores else [],
        "scores_summary": scores.summary if scores else "",
        "pictures": [
            {
                "title": title,
                "summary": found[wanted].summary,
                "shown": illustrated(folder, found[wanted])[:MOST_PICTURES],
            }
            for wanted, title in PICTURES.items()
            if wanted in found and found[wanted].rows
        ],
    }


def _title(name: str) -> str:
    """What the unknown images are, from the name of the file of findings."""
    folder = name.removeprefix(OPENSET).removeprefix("-").rpartition("-")[0]
    return f"Against the images of {folder}" if folder else "Against the classes that were held out"


def _figure(row: Any) -> dict[str, Any]:
    metric = metric_named(str(row.get("figure")))
    return {
        "title": metric.title,
        "meaning": metric.meaning,
        "value": figure(row.get("value"), metric),
        "interval": bounds(row, metric) or NOTHING,
        "n": whole(row.get("n")),
    }


def _score(row: Any) -> dict[str, Any]:
    return {
        "name": cell(row.get("score")),
        "chosen": bool(row.get("chosen")),
        "figures": [figure(row.get(name), metric_named(name)) for name in FIGURES],
        "interval": bounds({"lo": row.get("auroc_lo"), "hi": row.get("auroc_hi")}, metric_named("auroc")) or NOTHING,
    }


def _chart(group: _Group, finding: Finding) -> str:
    edges = [number(row.get("lo")) for row in finding.rows] + [number(finding.rows[-1].get("hi"))]
    if any(edge is None for edge in edges):
        return ""
    heaps = [
        Heap(name, [number(row.get(name)) or 0 for row in finding.rows], accented)
        for name, accented in (("known", True), ("unknown", False))
    ]
    across = "score, more unfamiliar to the right"
    return heaps_chart(f"strangers{group.place}", across, [edge or 0.0 for edge in edges], heaps, group.threshold)
