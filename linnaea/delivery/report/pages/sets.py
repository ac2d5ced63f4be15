"""What prediction sets hold: by class, by how sure the classifier is, and by their size."""

from collections.abc import Mapping, Sequence
from typing import Any

from linnaea.delivery.report.charts.dots import Dot, dots_chart
from linnaea.delivery.report.folder import Part, mapping
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import NOTHING, SHARE, bounds, cell, decimal, interval, number, percent, whole
from linnaea.finding import Finding

MOST_DOTS = 24
BY_CHANCE = 0.05


@PAGES.register("sets", title="Prediction sets", order=97, draws=("set_classes", "set_difficulty", "set_sizes"))
def sets(material: Material) -> Part | None:
    """Coverage and size of prediction sets; none of predictions without them."""
    found = {name: material.evaluation.finding(name) for name in ("set_classes", "set_difficulty", "set_sizes")}
    if all(part.missing for part in found.values()):
        return None
    known = {name: part.content for name, part in found.items() if not part.missing}
    classes = known.get("set_classes")
    asked = number(mapping(material.described.get("policy")).get("coverage"))
    return Part(
        {
            "summaries": [(finding.summary, finding.severity) for finding in known.values()],
            "chart": _chart(classes, asked) if classes else "",
            "more": max(0, len(classes.rows) - MOST_DOTS) if classes else 0,
            "classes": [_row(row, "class") for row in _worst_first(classes)] if classes else [],
            "tables": [
                {"title": title, "head": head, "rows": [_row(row, key) for row in known[name].rows]}
                for name, title, head, key in (
                    ("set_difficulty", "By how sure it is", "Images", "images"),
                    ("set_sizes", "By size", "Classes in the set", "size"),
                )
                if name in known
            ],
        }
    )


def _worst_first(finding: Finding) -> Sequence[Mapping[str, Any]]:
    def coverage(row: Mapping[str, Any]) -> float:
        value = number(row.get("coverage"))
        return 2.0 if value is None else value

    return sorted(finding.rows, key=coverage)


def _chart(finding: Finding, asked: float | None) -> str:
    rows = [row for row in _worst_first(finding) if number(row.get("coverage")) is not None][:MOST_DOTS]
    dots = [
        Dot(
            f"{cell(row.get('class'))} ({whole(row.get('n'))})",
            number(row.get("coverage")) or 0.0,
            interval(row, "coverage_lo", "coverage_hi"),
            _is_less(row),
            False,
        )
        for row in rows
    ]
    return dots_chart("sets", "Coverage of the prediction set", dots, asked, True) if dots else ""


def _is_less(row: Mapping[str, Any]) -> bool:
    p = number(row.get("p_of_less"))
    return p is not None and p < BY_CHANCE


def _row(row: Mapping[str, Any], key: str) -> dict[str, Any]:
    p = number(row.get("p_of_less"))
    return {
        "name": cell(row.get(key)),
        "n": whole(row.get("n")),
        "coverage": percent(row.get("coverage")) if number(row.get("coverage")) is not None else NOTHING,
        "limits": bounds({"lo": row.get("coverage_lo"), "hi": row.get("coverage_hi")}, SHARE),
        "size": decimal(row.get("mean_size"), 2),
        "p": NOTHING if p is None else decimal(p, 3),
        "less": _is_less(row),
    }
