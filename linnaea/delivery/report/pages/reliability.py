"""Whether confidence means what it says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from linnaea.delivery.report.charts.reliability import Bin, reliability_chart
from linnaea.delivery.report.folder import Part
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import SPACE, interval, number
from linnaea.finding import Finding


@dataclass(frozen=True)
class Stated:
    """How a section on confidence speaks: titles of the chart, its caption, and three headings of its table."""

    right: str
    counted: str
    stated: str
    caption: str
    headings: tuple[str, str, str]


OF_ANSWERS = Stated(
    "share that was right",
    "images",
    "stated confidence",
    f"If confidence means what it says, the points lie on the dashed line: of all answers given with 80{SPACE}% "
    f"confidence, 80{SPACE}% are right. Lines are intervals of 95{SPACE}%; grey bars are where 95{SPACE}% of such "
    "points would lie by chance if confidence meant what it says. The bars below count the images behind each point.",
    ("Confidence", "Right", "Images"),
)
OF_LABELS = Stated(
    "share that is present",
    "decisions",
    "stated probability",
    "If a probability means what it says, the points lie on the dashed line: of all labels given a probability of "
    f"80{SPACE}%, 80{SPACE}% are present. Lines are intervals of 95{SPACE}%; grey bars are where 95{SPACE}% of such "
    "points would lie by chance if that were so. The bars below count the decisions behind each point, one per image "
    "and label.",
    ("Probability", "Present", "Decisions"),
)


@PAGES.register("reliability", title="Confidence", order=90, draws=("reliability",))
def reliability(material: Material) -> Part:
    """How often answers of each stated confidence were right."""
    found = material.evaluation.finding("reliability")
    if found.missing:
        return found
    if not material.folder.several:
        return Part(_reliability_of(found.content, OF_ANSWERS))
    rows = [_as_answers(row) for row in found.content.rows]
    return Part(_reliability_of(replace(found.content, rows=rows), OF_LABELS))


def _reliability_of(finding: Finding, stated: Stated) -> dict[str, Any]:
    """The finding, its chart, which is empty where no bin holds anything, and how to speak of it."""
    bins = [
        Bin(
            confidence,
            accuracy,
            interval(row, "accuracy_lo", "accuracy_hi"),
            number(row.get("n")) or 0,
            interval(row, "band_lo", "band_hi"),
        )
        for row in finding.rows
        if (confidence := number(row.get("confidence"))) is not None
        and (accuracy := number(row.get("accuracy"))) is not None
    ]
    chart = reliability_chart(bins, (stated.right, stated.counted, stated.stated)) if bins else ""
    return {"finding": finding, "made": chart, "stated": stated}


def _as_answers(row: Mapping[str, Any]) -> dict[str, Any]:
    """A bin of label decisions under the names that a bin of answers has."""
    names = {"confidence": "probability", "accuracy": "share", "accuracy_lo": "share_lo", "accuracy_hi": "share_hi"}
    return {**row, **{name: row.get(source) for name, source in names.items()}}
