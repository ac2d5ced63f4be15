"""The bill of materials of a bundle, `sbom.cdx.json`: the model, its files, and the versions of what made it.

CycloneDX 1.6 (ECMA-424), written by cyclonedx-python-lib, without the time of writing or a number drawn by chance.
"""

import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnaea.classifier.bundle import bundle_folder, read_files
from linnaea.classifier.content import DESCRIPTION, Content
from linnaea.errors import MissingExtraError, RunError
from linnaea.runtime.files import read_json, write_text

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License

FILE = "sbom.cdx.json"
logger = logging.getLogger("linnaea")
NOT_RECORDED = "not recorded: the bundle was written by a version of Linnaea that kept none"


def with_bill(folder: Path) -> Content:
    """The content of a bundle, or of a run, after its bill of materials was written into it, where it had none.

    One of another `classifier.json` is written anew. Raises BundleError for a bundle that cannot be loaded.
    """
    root = bundle_folder(folder)
    content, description, _ = read_files(root)
    serial = _serial(content)
    if _serial_in(root / FILE) == serial:
        return content
    write_text(root / FILE, bill_of_materials(content, description))
    logger.info(f"The bill of materials, what made the model in which version, is in {root / FILE}.")
    return read_files(root)[0]


def bill_of_materials(content: Content, description: Mapping[str, Any]) -> str:
    """The bill as JSON: of a bundle's files, by its description."""
    try:
        from cyclonedx.output.json import JsonV1Dot6
    except ModuleNotFoundError:
        raise MissingExtraError("cyclonedx-python-lib", "registry") from None
    told: dict[str, Any] = json.loads(JsonV1Dot6(_bom(content, description)).output_as_string())
    return json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def recorded_versions(description: Mapping[str, Any]) -> dict[str, str]:
    """The versions of the libraries that made a classifier, by name; empty where they were not recorded."""
    provenance = description.get("provenance")
    told = provenance.get("versions") if isinstance(provenance, Mapping) else None
    found = {str(name): str(version) for name, version in told.items()} if isinstance(told, Mapping) else {}
    if not found and isinstance(provenance, Mapping) and "linnaea" in provenance:
        found["linnaea"] = str(provenance["linnaea"])
    return dict(sorted(found.items()))


def _bom(content: Content, description: Mapping[str, Any]) -> "Bom":
    from cyclonedx.model.bom import Bom, BomMetaData

    model, versions = _model(content, description), recorded_versions(description)
    parts = [*(_library(name, version) for name, version in versions.items()), *_files(content, description)]
    bom = Bom(
        serial_number=uuid.UUID(_serial(content).removeprefix("urn:uuid:")),
        metadata=BomMetaData(component=model, timestamp=_when(description)),
        components=parts,
    )
    bom.register_dependency(model, parts)
    return bom


def _model(content: Content, description: Mapping[str, Any]) -> "Component":
    """The classifier: its hash is that of its description, which holds those of the weights."""
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType

    provenance = description.get("provenance")
    facts = provenance if isinstance(provenance, Mapping) else {}
    told = {
        "linnaea:task": description.get("task"),
        "linnaea:classes": str(len(description.get("classes") or ())),
        "linnaea:dataset": facts.get("dataset"),
        "linnaea:versions": None if recorded_versions(description) else NOT_RECORDED,
    }
    return Component(
        name=str(facts.get("run") or "classifier"),
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="model",
        hashes=[_hash(content.files[DESCRIPTION])],
        properties=[Property(name=name, value=str(value)) for name, value in told.items() if value],
    )


def _files(content: Content, description: Mapping[str, Any]) -> "Iterator[Component]":
    """The files that the description names."""
    from cyclonedx.model.component import Component, ComponentType

    for name, digest in sorted(description["files"].items()):
        yield Component(name=name, type=ComponentType.FILE, bom_ref=f"file:{name}", hashes=[_hash(digest)])


def _library(name: str, version: str) -> "Component":
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    if name == "python":
        return Component(name=name, version=version, type=ComponentType.PLATFORM, bom_ref=name)
    purl = PackageURL("pypi", name=name.lower().replace("_", "-"), version=version)
    found = _licence(name, version)
    return Component(
        name=name, version=version, bom_ref=str(purl), purl=purl, licenses=[found] if found is not None else None
    )


def _licence(name: str, version: str) -> "License | None":
    """What the installed package says of its licence; None where that version is not installed, or says nothing."""
    from cyclonedx.contrib.license.factories import LicenseFactory

    try:
        facts = metadata(name)
    except PackageNotFoundError:
        return None
    if facts["Version"] != version:
        return None
    classifiers = [
        line.rpartition(" :: ")[2] for line in facts.get_all("Classifier") or () if line.startswith("License ::")
    ]
    told = [text for name in ("License-Expression", "License") for text in facts.get_all(name) or ()]
    written = told[0] if "License-Expression" in facts else (classifiers or told or [""])[0]
    first = str(written).strip().partition("\n")[0] if written else ""
    return LicenseFactory().make_from_string(first) if first else None


def _hash(digest: str) -> Any:
    from cyclonedx.model import HashAlgorithm, HashType

    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _serial(content: Content) -> str:
    """The number of the bill of a description: the same for the same."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"linnaea:{content.files[DESCRIPTION]}").urn


def _serial_in(file: Path) -> str | None:
    if not file.is_file():
        return None
    try:
        told = read_json(file)
    except RunError:
        return None
    return told.get("serialNumber") if isinstance(told, dict) else None


def _when(description: Mapping[str, Any]) -> datetime | None:
    """When it was trained, where that is recorded."""
    provenance = description.get("provenance")
    try:
        return datetime.fromisoformat(str(provenance["trained"])) if isinstance(provenance, Mapping) else None
    except (KeyError, ValueError):
        return None
