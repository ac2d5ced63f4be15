"""The search for good options: every trial, and which options mattered."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from linnaea.delivery.report.charts.bars import Bar, bars_chart
from linnaea.delivery.report.charts.curves import Curve, curves_chart
from linnaea.delivery.report.folder import SEARCH, Part, mapping
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import number
from linnaea.finding import Finding

MOST_TRIALS = 50
HIDDEN = ("lo", "hi", "chosen")
HEADINGS = {"loss": "loss on val", "value": "figure on val"}


@PAGES.register("search", title="The search", order=8)
def search(material: Material) -> Part | None:
    """The trials, the best first, what was found about them, and a chart of what mattered; None without a search."""
    folder = material.folder
    facts = mapping(folder.run.get("search"))
    if not facts:
        return None
    trials, findings = folder.csv("trials.csv"), folder.findings(SEARCH)
    if trials.missing or findings.missing:
        return trials if trials.missing else findings
    found: dict[str, Finding] = {finding.name: finding for finding in findings.content}
    importance = found.get("importance")
    bars = [_bar(row) for row in importance.rows] if importance is not None else []
    rows = sorted(trials.content, key=_rank)
    content = {
        "facts": facts,
        "summaries": [finding.summary for finding in found.values()],
        "chart": bars_chart("importance", "share of the variance between trials", bars) if bars else "",
        "best": _best_chart(trials.content),
        "columns": [(name, HEADINGS.get(name, name.replace("_", " "))) for name in rows[0] if name not in HIDDEN],
        "rows": [{name: _rounded(value) for name, value in row.items()} for row in rows[:MOST_TRIALS]],
        "trials": len(rows),
        "more": max(0, len(rows) - MOST_TRIALS),
    }
    return Part(content)


def _best_chart(trials: Sequence[dict[str, str]]) -> str:
    """The lowest loss of the trials so far; "" where fewer than two finished."""
    finished = [
        (int(row["trial"]), loss)
        for row in trials
        if row.get("status") == "finished" and (loss := number(row.get("loss"))) is not None
    ]
    if len(finished) < 2:
        return ""
    lowest = list(accumulate((loss for _, loss in finished), min))
    curve = Curve("best so far", lowest, accented=True)
    return curves_chart("best-loss", "Lowest loss on val", [one for one, _ in finished], [curve], False, across="trial")


def _rounded(value: str) -> str:
    """A figure with three digits; a whole number or a word as it is."""
    found = number(value)
    return value if found is None or value.lstrip("-").isdigit() else f"{found:.3g}"


def _bar(row: Any) -> Bar:
    return Bar(str(row.get("option")), number(row.get("share")) or 0.0, row.get("matters") == "yes")


def _rank(row: dict[str, str]) -> tuple[bool, bool, float]:
    """Finished trials by their loss, then pruned ones, then those without a loss."""
    loss = number(row.get("loss"))
    return loss is None, row.get("status") != "finished", loss or 0.0
