"""Where the classifier looks: what was found as images were explained, and checks of the explanations."""

from linnaea.delivery.report.folder import EXPLANATION, Part
from linnaea.delivery.report.found import listed
from linnaea.delivery.report.pages.contract import PAGES, Material


@PAGES.register("explanations", title="Where it looks", order=115)
def explanations(material: Material) -> Part | None:
    """Checks of explanations, and where mistakes and classes look; None where nothing was explained in the run."""
    folder = material.folder
    if not (folder.path / "findings" / f"{EXPLANATION}.json").is_file():
        return None
    return listed(folder, folder.findings(EXPLANATION))
