"""The page of a monitoring, from what `monitoring.json` holds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from linnaea.delivery.report.charts.windows import Beat, windows_chart
from linnaea.delivery.report.folder import listing, mapping
from linnaea.delivery.report.found import shown
from linnaea.delivery.report.page import environment
from linnaea.delivery.report.words import cell, counted, number, percent, whole
from linnaea.finding import Finding
from linnaea.registry import family

OVERALL, TEST, TREND = "drift", "drift_", "trend_"
SHARES = ("confidence", "unfamiliar", "brightness", "spread", "accuracy", "coverage", "share", "class_")
MOST_WINDOWS = 60  # of a table
LONGEST = 40  # letters of the title of a chart
MILDEST = 0.5  # p-value that has no colour
OWN = (OVERALL, "unlike", "trends", "log")  # monitors that have sections of their own


def render_monitoring(content: Mapping[str, Any]) -> str:
    """What monitors found in windows of images, as HTML; images of findings are read from where they are."""
    found = {
        str(name): [Finding.from_json(mapping(one)) for one in listing(each)]
        for name, each in mapping(content.get("monitors")).items()
    }
    own = {finding.name: finding for finding in found.get(OVERALL, [])}
    overall = own.get(OVERALL)
    rows = [dict(row) for row in overall.rows] if overall else []
    alarms = [finding for each in found.values() for finding in each if finding.severity == "error"]
    return (
        environment()
        .get_template("monitoring.html")
        .render(
            name=cell(content.get("name")),
            worst="error" if alarms else "finished",
            state="alarm" if alarms else "no alarm",
            headline=_headline(content, alarms, overall),
            lines=[finding.summary for finding in alarms if finding.name != OVERALL] + _also(found),
            facts=_facts(content),
            notes=[cell(note) for note in listing(content.get("notes"))],
            windows=[_window(number, row) for number, row in enumerate(rows, 1)][-MOST_WINDOWS:],
            more=max(0, len(rows) - MOST_WINDOWS),
            heat=_heat(rows[-MOST_WINDOWS:], found.get(OVERALL, [])),
            changed=[_changed(finding) for finding in found.get(OVERALL, []) if finding.name.startswith(TEST)],
            remarks=[finding.summary for name in ("detectable", "drift_left_out") if (finding := own.get(name))],
            trends=_charts(found.get("trends", []), rows),
            unlike=[shown(Path(), finding) for finding in found.get("unlike", [])],
            log=[shown(None, finding) for finding in found.get("log", [])],
            others=[_monitor(name, each) for name, each in found.items() if name not in OWN and each],
        )
    )


def _headline(content: Mapping[str, Any], alarms: Sequence[Finding], overall: Finding | None) -> str:
    if overall is None:
        return "Nothing was looked at."
    if overall.severity == "error" or not alarms:
        return overall.summary.partition(". ")[0].rstrip(".") + "."
    return alarms[0].summary.partition(". ")[0].rstrip(".") + "."


def _also(found: Mapping[str, Sequence[Finding]]) -> list[str]:
    """The rest of what is said of drift, then where images differ most."""
    overall = [finding.summary.partition(". ")[2] for finding in found.get(OVERALL, []) if finding.name == OVERALL]
    slices = [finding.summary for finding in found.get("unlike", []) if finding.name == "different_slices"]
    return [line for line in (*overall, *slices) if line]


def _facts(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    windows = f"{counted(number(content.get('windows')) or 0, 'window')} of {_size(content.get('window'))}"
    return [
        ("Looked at", f"{cell(content.get('since'))}: {whole(content.get('images'))} images in {windows}"),
        ("Reference", f"{cell(content.get('reference'))}: {whole(content.get('reference_images'))} images"),
        (
            "False alarms",
            f"{percent(content.get('rate'))} of windows in which nothing changed, all drift tests together",
        ),
        ("Classes", ", ".join(map(cell, listing(content.get("classes"))[:12]))),
    ]


def _size(given: Any) -> str:
    return f"{given} images" if str(given).isdecimal() else str(given)


def _window(place: int, row: Mapping[str, Any]) -> dict[str, Any]:
    p = number(row.get("p"))
    return {
        "number": place,
        "name": cell(row.get("window")),
        "images": whole(row.get("images")),
        "p": "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}",
        "alarm": bool(row.get("alarm")),
        "tested": p is not None,
        "changed": cell(row.get("changed")),
    }


def _heat(windows: Sequence[Mapping[str, Any]], findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """For each drift test how surely it differs in each window: cells with a strength from 0 to 1."""
    lines = []
    known = family("drift test").known
    for finding in findings:
        rows = {str(row.get("window")): row for row in finding.rows}
        name = finding.name.removeprefix(TEST)
        if name not in known or not finding.name.startswith(TEST):
            continue
        cells = [_square(rows.get(str(window.get("window")))) for window in windows]
        lines.append({"title": known[name].title, "cells": cells})
    return lines


def _square(row: Mapping[str, Any] | None) -> dict[str, Any]:
    p = None if row is None else number(row.get("adjusted"))
    if row is None or p is None:
        return {"strength": 0.0, "alarm": False, "title": "not tested"}
    import math

    strength = min(1.0, max(0.0, math.log(MILDEST / max(p, 1e-3)) / math.log(MILDEST / 1e-3)))
    return {
        "strength": round(strength, 2),
        "alarm": bool(row.get("alarm")),
        "title": f"{row.get('window')}: {row.get('change')} (p {p:.3f})",
    }


def _changed(finding: Finding) -> dict[str, Any]:
    alarms = [row for row in finding.rows if row.get("alarm")]
    return {"title": finding.summary.partition(":")[0], "what": finding.summary, "alarms": len(alarms)}


def _charts(findings: Sequence[Finding], windows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Findings whose rows have `window` and `value`, drawn; windows that are called changed are marked."""
    alarms = {str(row.get("window")) for row in windows if row.get("alarm")}
    charts = []
    for place, finding in enumerate(findings):
        rows = [row for row in finding.rows if "window" in row and "value" in row]
        if not any(number(row.get("value")) is not None for row in rows):
            continue
        beats = [_beat(row, alarms) for row in rows][-MOST_WINDOWS:]
        title = _title(finding)
        limit = next((number(row.get("limit")) for row in reversed(rows) if number(row.get("limit")) is not None), None)
        as_percent = _is_share(finding, rows)
        charts.append(windows_chart(f"beat{place}-{finding.name}", title, beats, limit, as_percent=as_percent))
    return charts


def _title(finding: Finding) -> str:
    """What a finding says before its first colon, where that is short, else its name."""
    before, colon, _ = finding.summary.partition(":")
    return before if colon and len(before) <= LONGEST else finding.name.replace("_", " ").capitalize()


def _beat(row: Mapping[str, Any], alarms: set[str]) -> Beat:
    lo, hi = number(row.get("lo")), number(row.get("hi"))
    window = str(row.get("window"))
    alarm = bool(row["alarm"]) if "alarm" in row else window in alarms
    return Beat(window, number(row.get("value")), None if lo is None or hi is None else (lo, hi), alarm)


def _is_share(finding: Finding, rows: Sequence[Mapping[str, Any]]) -> bool:
    values = [number(row.get("value")) for row in rows]
    inside = all(value is None or 0 <= value <= 1 for value in values)
    return inside and any(word in finding.name for word in SHARES)


def _monitor(name: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """The section of any other monitor: its findings, and charts of those that have a value for each window."""
    known = family("monitor").known
    return {
        "id": name,
        "title": known[name].title if name in known else name.replace("_", " ").capitalize(),
        "meaning": known[name].meaning if name in known else "",
        "charts": _charts(findings, []),
        "findings": [shown(Path(), finding) for finding in findings],
    }
