"""The training done again, over folds and over seeds."""

from linnaea.delivery.report.folder import REPEATED, Part
from linnaea.delivery.report.found import listed
from linnaea.delivery.report.pages.contract import PAGES, Material
from linnaea.finding import Finding


@PAGES.register("repeated", title="Done again", order=12)
def repeated(material: Material) -> Part | None:
    """What was found over folds and seeds; None where the training was done once."""
    folder = material.folder
    parts = [folder.findings(name) for name in REPEATED if (folder.path / "findings" / f"{name}.json").is_file()]
    if not parts:
        return None
    broken = next((part for part in parts if part.missing), None)
    found: list[Finding] = [finding for part in parts if not part.missing for finding in part.content]
    return broken or listed(folder, Part(found))
