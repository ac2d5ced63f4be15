"""The figures of the headline split."""

from linnaea.delivery.report import tables
from linnaea.delivery.report.folder import Part
from linnaea.delivery.report.pages.contract import PAGES, Material


@PAGES.register("metrics", title="The figures", order=20)
def metrics(material: Material) -> Part:
    """The figures of the headline split and how each interval was made."""
    evaluation = material.evaluation
    if evaluation.metrics.missing:
        return evaluation.metrics
    rows = tables.metric_rows(evaluation, in_tree=material.folder.in_tree)
    return Part({"rows": rows, "methods": [(row["metric"].title, row["method"] or "not stated") for row in rows]})
