"""The data: its splits, what the audit found, what was left out."""

from linnaea.delivery.report import origins, tables
from linnaea.delivery.report.folder import Part, mapping
from linnaea.delivery.report.found import listed
from linnaea.delivery.report.pages.contract import PAGES, Material


@PAGES.register("splits", title="The data", order=140)
def splits(material: Material) -> Part:
    """Images per split, and per class where the manifest is there."""
    folder, manifest = material.folder, material.manifest
    if manifest.missing and not mapping(folder.dataset.get("splits")):
        return manifest
    counted = origins.split_table(folder, manifest, tables.MOST_CLASSES)
    content = {**counted, "manifest": manifest, "provenance": origins.provenance(folder)}
    return Part(content, partly=bool(manifest.missing))


@PAGES.register("audit", title="Data audit", order=150)
def audit(material: Material) -> Part:
    """What the data audit found."""
    return listed(material.folder, material.audit)


@PAGES.register("left_out", title="Left out", order=160)
def left_out(material: Material) -> Part:
    """The files that were not used, by reason."""
    manifest = material.manifest
    return manifest if manifest.missing else Part(manifest.content.left_out)
