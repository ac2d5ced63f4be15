"""Class by class: how often each is found, and what it is taken for."""

from linnaea.delivery.report import origins, tables
from linnaea.delivery.report.folder import Part
from linnaea.delivery.report.found import drawn
from linnaea.delivery.report.pages.contract import PAGES, Material


@PAGES.register(
    "classes", title="Class by class", order=50, tasks=("binary", "multiclass", "hierarchical"), draws=("per_class",)
)
def classes(material: Material) -> Part:
    """The figures of each class, the weakest recall first."""
    return drawn(material.evaluation.finding("per_class"), tables.class_rows)


@PAGES.register(
    "confusion",
    title="What it confuses",
    order=60,
    tasks=("binary", "multiclass", "hierarchical"),
    draws=("confusion",),
)
def confusion(material: Material) -> Part:
    """The classes that are taken for each other, as a matrix where there are few."""
    names = origins.classes_of(material.folder, material.described)
    return drawn(material.evaluation.finding("confusion"), lambda finding: tables.confusion_of(finding, names))
