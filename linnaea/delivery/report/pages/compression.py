"""What making a classifier smaller cost: every measure before and after, on the same images."""

from collections.abc import Mapping
from typing import Any

from linnaea.delivery.report.folder import COMPRESSION, Part, listing, mapping
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import NOTHING, Metric, cell, decimal, metric_named, number, percent

OWN = {
    "worst_class_recall": ("Recall of the worst class", True),
    "ok_rate": ("Answered", True),
    "unsure_rate": ("Unsure", True),
    "unfamiliar_rate": ("Unfamiliar", True),
    "megabytes": ("Size of the weights, MB", False),
    "milliseconds": ("Time for one image, ms", False),
    "images_per_second": ("Images per second, in batches", False),
}
DIGITS = {"megabytes": 2, "milliseconds": 2, "images_per_second": 0}


@PAGES.register("compression", title="What compression cost", order=58)
def compression(material: Material) -> Part | None:
    """A row for each measure, before and after; only of a run that `compress` made."""
    if not (material.folder.path / "findings" / f"{COMPRESSION}.json").is_file():
        return None
    found = material.folder.findings(COMPRESSION)
    if found.missing or not found.content:
        return Part(missing=found.missing or f"findings/{COMPRESSION}.json is empty.")
    finding = found.content[0]
    origin = mapping(material.folder.run.get("origin"))
    return Part(
        {
            "summary": finding.summary,
            "origin": cell(origin.get("run")) if origin else "",
            "methods": ", then ".join(cell(name) for name in listing(origin.get("methods"))),
            "rows": [_row(row) for row in finding.rows],
            "images": finding.count,
        }
    )


def _row(row: Mapping[str, Any]) -> dict[str, str]:
    name = cell(row.get("measure"))
    title, share = OWN.get(name) or _of_metric(metric_named(name))
    named = {side: cell(row[f"{side}_class"]) for side in ("before", "after") if row.get(f"{side}_class")}
    return {
        "title": title,
        "kind": cell(row.get("kind")),
        "before": _value(row.get("before"), name, share=share),
        "after": _value(row.get("after"), name, share=share),
        "before_class": named.get("before", ""),
        "after_class": named.get("after", ""),
        "difference": _difference(row, share=share),
        "interval": _interval(row, share=share),
        "tested": cell(row.get("tested")) if "difference" in row else "measured in turns on one machine",
    }


def _of_metric(metric: Metric) -> tuple[str, bool]:
    return metric.title, metric.share


def _value(value: Any, name: str, *, share: bool) -> str:
    if number(value) is None:
        return "not defined"
    return percent(value) if share else decimal(value, DIGITS.get(name, 3))


def _difference(row: Mapping[str, Any], *, share: bool) -> str:
    times, difference = number(row.get("times")), number(row.get("difference"))
    if times is not None:
        return f"× {times:.2f}"
    return NOTHING if difference is None else _signed(difference, share=share)


def _interval(row: Mapping[str, Any], *, share: bool) -> str:
    lo, hi = number(row.get("lo")), number(row.get("hi"))
    return "" if lo is None or hi is None else f"{_signed(lo, share=share)} to {_signed(hi, share=share)}"


def _signed(value: float, *, share: bool) -> str:
    """A difference, of shares in points."""
    return f"{round(100 * value, 1) + 0.0:+.1f}" if share else f"{round(value, 3) + 0.0:+.3f}"
