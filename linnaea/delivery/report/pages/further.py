"""Findings that no other page draws."""

from linnaea.delivery.report.folder import Part
from linnaea.delivery.report.found import listed
from linnaea.delivery.report.pages.contract import PAGES, Material


@PAGES.register("further", title="Further findings", order=180)
def further(material: Material) -> Part | None:
    """Findings that no other page draws: other names on the headline split, and other files."""
    folder, evaluation = material.folder, material.evaluation
    drawn = {name for page in PAGES for name in _drawn_by(page)}
    found = [finding for finding in evaluation.findings.content or [] if not finding.is_promise]
    rest = [finding for finding in found if finding.name not in drawn]
    groups = [{"title": evaluation.where, "part": listed(folder, Part(rest))}] if rest else []
    for name in folder.other_findings():
        groups.append({"title": f"findings/{name}.json", "part": listed(folder, folder.findings(name))})
    return Part(groups) if groups else None


def _drawn_by(page: str) -> tuple[str, ...]:
    draws = PAGES.about(page).capabilities.get("draws", ())
    assert isinstance(draws, tuple)
    return draws
