"""The worst mistakes, with their images."""

from linnaea.delivery.report.folder import Part
from linnaea.delivery.report.found import drawn, illustrated
from linnaea.delivery.report.pages.contract import PAGES, Material


@PAGES.register("mistakes", title="Worst mistakes", order=110, draws=("mistakes",))
def mistakes(material: Material) -> Part:
    """The images that were answered wrongly with the most confidence."""
    found = material.evaluation.finding("mistakes")
    return drawn(found, lambda finding: illustrated(material.folder, finding))
