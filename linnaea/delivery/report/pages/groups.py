"""Groups of images side by side: the worst first, the gaps between them, and what is too small to judge."""

from collections.abc import Mapping, Sequence
from typing import Any

from linnaea.delivery.report.charts.dots import Dot, dots_chart
from linnaea.delivery.report.folder import GROUPS, Folder, Part
from linnaea.delivery.report.found import root_of
from linnaea.delivery.report.found import shown as listed
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import bounds, cell, decimal, figure, metric_named, number, percent, whole
from linnaea.finding import Finding
from linnaea.registry.index import family
from linnaea.task import TASKS

MOST_DOTS = 24
OWN = ("groups", "worst_group", "gaps", "small_groups")
PLAIN = ("by", "group", "n", "p", "note")


@PAGES.register("groups", title="Group by group", order=65)
def groups(material: Material) -> Part | None:
    """The groups of each evaluation that looked at them; only of a run that was evaluated by columns."""
    folder = material.folder
    names = folder.named_findings(GROUPS)
    if not names:
        return None
    parts = {name: folder.findings(name) for name in names}
    content = [
        _evaluation(folder, place, name, part.content, material)
        for place, (name, part) in enumerate(parts.items())
        if not part.missing
    ]
    return Part(content, "" if content else " ".join(part.missing for part in parts.values()))


def _evaluation(folder: Folder, place: int, name: str, findings: list[Finding], material: Material) -> dict[str, Any]:
    task = str(folder.dataset.get("task"))
    metric = TASKS[task].metric if task in TASKS else "accuracy"
    found = {wanted: [one for one in findings if one.name == wanted] for wanted in OWN}
    rows = [row for one in found["groups"] for row in one.rows]
    gaps = [row for one in found["gaps"] for row in one.rows]
    own = name == GROUPS
    overall = number(material.evaluation.entry(metric).get("value")) if own else None
    slicings = list(dict.fromkeys(str(row.get("by")) for row in rows))
    worst = [one for one in found["worst_group"] if one.rows]
    return {
        "title": "" if own else f"On {name.removeprefix(f'{GROUPS}-').rpartition('-')[0]}",
        "summaries": [one.summary for kind in ("gaps", "small_groups") for one in found[kind]],
        "slicings": [
            _slicing(f"groups{place}-{number_}", by, metric, rows, gaps, worst, overall)
            for number_, by in enumerate(slicings)
        ],
        "notes": [one.summary for one in found["groups"]],
        "others": [listed(root_of(folder), one) for one in findings if one.name not in OWN],
    }


def _slicing(
    name: str,
    by: str,
    metric: str,
    rows: Sequence[Mapping[str, Any]],
    gaps: Sequence[Mapping[str, Any]],
    worst: Sequence[Finding],
    overall: float | None,
) -> dict[str, Any]:
    own = sorted((row for row in rows if row.get("by") == by), key=lambda row: _rank(row, metric))
    about = next((one for one in worst if one.rows[0].get("by") == by), None)
    bad = str(about.rows[0].get("group")) if about is not None and about.rows[0].get("found") else None
    shown = [row for row in own if number(row.get(metric)) is not None][:MOST_DOTS]
    told, own_gaps = metric_named(metric), [row for row in gaps if row.get("by") == by]
    dots = [_dot(row, metric, bad) for row in shown]
    columns = [key for row in own for key in row if key not in PLAIN and not key.endswith(("_lo", "_hi"))]
    return {
        "by": by,
        "summary": about.summary if about is not None else f"No group by {by} is judged.",
        "warning": bad is not None,
        "chart": dots_chart(name, told.title, dots, overall, told.share) if dots else "",
        "more": len(own) - len(dots),
        "columns": [_title(key) for key in dict.fromkeys(columns)],
        "rows": [_row(row, list(dict.fromkeys(columns))) for row in own],
        "gaps": [_gap(row) for row in own_gaps] if any(row.get("value") is not None for row in own_gaps) else [],
    }


def _rank(row: Mapping[str, Any], metric: str) -> tuple[bool, float]:
    """Judged groups first, the worst of them at the top."""
    value = number(row.get(metric))
    return row.get("p") is None, 2.0 if value is None else value


def _dot(row: Mapping[str, Any], metric: str, bad: str | None) -> Dot:
    lo, hi = number(row.get(f"{metric}_lo")), number(row.get(f"{metric}_hi"))
    interval = None if lo is None or hi is None else (lo, hi)
    name, value = str(row.get("group")), number(row.get(metric))
    return Dot(f"{name} ({whole(row.get('n'))})", value or 0.0, interval, name == bad, row.get("p") is None)


def _title(key: str) -> str:
    known = family("gap").known
    gap = f"{key}_difference"
    return known[gap].title if gap in known else metric_named(key).title


def _row(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    cells = []
    for key in columns:
        metric = metric_named(key)
        share = metric.share or f"{key}_difference" in family("gap").known
        value = percent(row.get(key)) if share and number(row.get(key)) is not None else figure(row.get(key), metric)
        cells.append((value, bounds({"lo": row.get(f"{key}_lo"), "hi": row.get(f"{key}_hi")}, metric)))
    return {
        "group": cell(row.get("group")),
        "n": whole(row.get("n")),
        "cells": cells,
        "note": str(row.get("note") or ""),
    }


def _gap(row: Mapping[str, Any]) -> dict[str, Any]:
    known = family("gap").known
    name = str(row.get("gap"))
    about = known.get(name)
    limits = (
        "" if number(row.get("lo")) is None else f"{percent(row.get('lo'), unit=False)} to {percent(row.get('hi'))}"
    )
    ends = [
        f"{cell(row.get(end))} {percent(row.get(f'{end}_value'))}" if row.get(end) is not None else "–"
        for end in ("lowest", "highest")
    ]
    return {
        "title": about.title if about else name,
        "meaning": about.meaning if about else "",
        "value": percent(row.get("value")) if number(row.get("value")) is not None else "not defined",
        "limits": limits,
        "class": str(row.get("class") or ""),
        "lowest": ends[0],
        "highest": ends[1],
        "p": "< 0.001" if (number(row.get("p")) or 1.0) < 0.001 else decimal(row.get("p"), 3),
        "found": bool(row.get("found")),
        "note": str(row.get("note") or ""),
    }
