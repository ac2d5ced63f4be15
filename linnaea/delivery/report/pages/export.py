"""The exported files, and whether they answer the same."""

from linnaea.delivery.report.folder import Part
from linnaea.delivery.report.found import listed
from linnaea.delivery.report.pages.contract import PAGES, Material


@PAGES.register("export", title="Export", order=170)
def export(material: Material) -> Part:
    """Whether the exported file answers as the classifier does."""
    return listed(material.folder, material.export)
