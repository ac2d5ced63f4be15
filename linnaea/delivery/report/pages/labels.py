"""Label by label, where an image may show several."""

from typing import Any

from linnaea.delivery.report.folder import Part
from linnaea.delivery.report.found import drawn
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.delivery.report.words import number
from linnaea.finding import Finding

MOST_PAIRS = 15


@PAGES.register("labels", title="Label by label", order=70, tasks=("multilabel",), draws=("per_label",))
def labels(material: Material) -> Part:
    """The figures of each label, the lowest average precision first."""
    return drawn(material.evaluation.finding("per_label"), _label_rows)


@PAGES.register("together", title="What comes together", order=80, tasks=("multilabel",), draws=("co_occurrence",))
def together(material: Material) -> Part:
    """The pairs of labels that come together more often than chance explains."""
    return drawn(material.evaluation.finding("co_occurrence"), lambda finding: list(finding.rows)[:MOST_PAIRS])


def _label_rows(finding: Finding) -> list[dict[str, Any]]:
    """A row per label, the lowest average precision first; labels without one come last."""
    figures = [number(row.get("average_precision")) for row in finding.rows]
    order = sorted(range(len(figures)), key=lambda row: (figures[row] is None, figures[row] or 0))
    return [dict(finding.rows[row]) for row in order]
