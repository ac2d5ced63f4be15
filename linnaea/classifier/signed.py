"""What is known of the origin of a bundle: its address, who has signed it, and whether one of them is trusted."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.classifier.bundle import read_bundle
from linnaea.classifier.content import COMPILED, DESCRIPTION, Content
from linnaea.classifier.schema import require_schema
from linnaea.classifier.signature import Trust, require_signed, signers, trusted_keys
from linnaea.runtime.words import counted

MOST_NAMED = 5
logger = logging.getLogger("linnaea")


@dataclass(frozen=True)
class Signed:
    """The address of a bundle, and its signatures: fingerprint of the key, name and time, each as it was signed.

    `trusted` is the file of the trusted key that is among them; empty where no key was given to trust. `beside` are the
    files that the classifier is not made of, such as scripts: the description has no hashes of these.
    """

    content: Content
    signatures: tuple[Mapping[str, str], ...] = ()
    trusted: str = ""
    beside: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """`linnaea:sha256-` and 64 digits."""
        return self.content.address

    def __str__(self) -> str:
        size = f"{counted(len(self.content.files), 'file')}, {self.content.bytes:,} bytes"
        lines = [self.address, f"{self.content.folder} is whole: {size}."]
        for told in self.signatures:
            by = f" by {told['signed_by']}" if told["signed_by"] else ""
            lines.append(f"Signed{by} on {told['signed']} with the key {told['key']}.")
        if not self.signatures:
            lines.append(f"It is not signed{_uncovered(self.beside)}.")
        elif self.trusted:
            lines.append(
                f"That is the key in {self.trusted}." if len(self.signatures) == 1 else f"One is {self.trusted}."
            )
        else:
            lines.append("No key was given to trust (--trust): anybody may have signed it.")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """As JSON, with the hash of each file."""
        told = {"address": self.address, "folder": str(self.content.folder), "files": dict(self.content.files)}
        told["beside"] = list(self.beside)
        return {**told, "signatures": [dict(one) for one in self.signatures], "trusted": self.trusted}


def _uncovered(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {counted(len(names) - MOST_NAMED, 'other')}" if len(names) > MOST_NAMED else ""
    return f", and no hash tells whether {', '.join(names[:MOST_NAMED])}{more} changed"


def signed_content(content: Content, trust: Trust = None, described: Iterable[str] | None = None) -> Signed:
    """Who has signed a content; raises BundleError where the signature is damaged or void, or of no trusted key."""
    keys = trusted_keys(trust)
    told = [
        {"key": key.fingerprint, "signed_by": one["signed_by"], "signed": one["signed"]}
        for key, one in signers(content)
    ]
    hashed = content.files if described is None else {DESCRIPTION, *described}
    beside = tuple(name for name in content.files if name not in hashed)
    return Signed(content, tuple(told), require_signed(content, keys).name if keys else "", beside)


def verified(folder: Path, trust: Trust = None) -> Signed:
    """The same of a bundle that was read whole: hashes, names, schema, and that nothing in it could be run.

    Raises BundleError where anything is wrong.
    """
    bundle = read_bundle(folder)
    require_schema(bundle.description, bundle.file)
    for compiled in bundle.content.folder.rglob(COMPILED):
        logger.warning(
            f"{compiled} does not belong to the bundle: what Python compiled of its scripts; no hash covers it."
        )
    return signed_content(bundle.content, trust, bundle.hashed)
