"""Bundles on their way into a registry and back: checked before they leave, and before they appear in their place."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnaea.classifier.bundle import Bundle, read_bundle
from linnaea.classifier.schema import require_schema
from linnaea.classifier.signature import Trust, require_signed, signers, trusted_keys, void
from linnaea.delivery.bill_of_materials import with_bill
from linnaea.delivery.model_registries.contract import Version, require_tag
from linnaea.delivery.model_registries.target import Target
from linnaea.errors import BundleError, UsageError
from linnaea.runtime.files import whole_folder

if TYPE_CHECKING:
    from linnaea.classifier.keys import PublicKey

logger = logging.getLogger("linnaea")


@dataclass(frozen=True)
class Pushed:
    """Where a bundle was pushed to, as which version."""

    target: Target
    version: Version
    signed: bool
    tag: str = ""

    @property
    def source(self) -> str:
        """What `linnaea pull` takes to get this version: by the tag that was asked for, else by its number."""
        return f"{self.target.kind}:{self.target.place}@{self.tag or self.version.number}"

    @property
    def next(self) -> str:
        """The command that gets it."""
        return f"linnaea pull {self.source} FOLDER"

    def __str__(self) -> str:
        told = "signed" if self.signed else "not signed"
        return f"{self.target} holds it as {self.version}, {told}\n{self.version.address}"

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        told = {"source": self.source, "version": self.version.number, "tags": list(self.version.tags)}
        return {**told, "address": self.version.address, "signed": self.signed}


@dataclass(frozen=True)
class Pulled:
    """A bundle in its new folder, which version it is, and the trusted key that has signed it: "" where none was."""

    folder: Path
    version: Version
    signed_by: str = ""

    @property
    def next(self) -> str:
        """The command that uses it."""
        return f"linnaea predict {self.folder} PHOTO.jpg"

    def __str__(self) -> str:
        told = f", signed by the key {self.signed_by}" if self.signed_by else ", its signature not checked"
        return f"{self.folder} holds {self.version}{told}\n{self.version.address}"

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        told = {"folder": str(self.folder), "version": self.version.number, "tags": list(self.version.tags)}
        return {**told, "address": self.version.address, "signed_by": self.signed_by}


def push(folder: Path, target: str, *, tags: Sequence[str] = ()) -> Pushed:
    """Push the bundle in a folder, with its bill of materials, into a registry.

    Raises BundleError for a bundle that cannot be loaded or whose signature is void, UsageError for a target with a
    version: the registry numbers them.
    """
    meant = Target.read(target)
    if meant.version:
        raise UsageError(f"{target!r} names a version: a push makes the next one; give a name to it with --tag.")
    for tag in tags:
        require_tag(tag)
    registry = meant.open()
    if meant.kind == "folder" and Path(meant.place).resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"{meant.place} lies in the bundle that is to be pushed, {folder}: choose a place outside of it."
        )
    content = with_bill(folder)
    if told := void(content):
        raise BundleError(told)
    return Pushed(meant, registry.push(content, tags), bool(signers(content)), tags[0] if tags else "")


def pull(source: str, folder: Path, *, trust: Trust = None) -> Pulled:
    """Fetch a version of a bundle into a folder that is not there yet, or is empty.

    It appears there only when all of it was checked: names, hashes, the address that the registry told, the schema, and
    the signature by one of the keys in `trust`. Raises BundleError where one of these is wrong, RegistryError where
    there is no such version, UsageError where the folder holds anything.
    """
    meant, keys = Target.read(source), trusted_keys(trust)
    registry = meant.open()
    with whole_folder(folder) as staged:
        version = registry.find(meant.wanted)
        registry.fetch(version, staged)
        content = _checked(staged, version, str(meant), keys).content
        signed_by = require_signed(content, keys).name if keys else ""
    return Pulled(folder, Version(version.number, content.address, version.tags), signed_by)


def _checked(staged: Path, version: Version, source: str, keys: "Sequence[PublicKey]") -> Bundle:
    """What came, where it is what was pushed, signed and of a classifier; raises BundleError otherwise."""
    for path in staged.iterdir():
        if path.name.startswith("."):  # what the client of a registry leaves
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    bundle = read_bundle(staged, keys)
    if version.address and bundle.content.address != version.address:
        raise BundleError(
            f"{source}: what came has the address {bundle.content.address}, and {version.address} was pushed: a file "
            "is damaged, missing or was added. Nothing of it was kept."
        )
    if not version.address:
        logger.warning(
            f"{source} was pushed by something else than Linnaea: only the bundle's own hashes were checked."
        )
    require_schema(bundle.description, bundle.file)
    return bundle
