"""The contract of a model registry."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from linnaea.classifier.content import SCHEME, Content
from linnaea.errors import LinnaeaError, RegistryError, UsageError, suggest
from linnaea.registry import Registry
from linnaea.runtime.boundary import reason_of

LATEST = "latest"
DIGEST = "sha256-"  # how an address begins in a target
TAG = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}[A-Za-z0-9]|[A-Za-z]")


@dataclass(frozen=True)
class Version:
    """A version of a bundle in a registry: its number, the address of its content, and the tags that point to it.

    The address is empty where the registry was given the content by something else than `linnaea push`.
    """

    number: int
    address: str
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        tags = f" ({', '.join(self.tags)})" if self.tags else ""
        return f"version {self.number}{tags}"


class ModelRegistry(ABC):
    """The versions of one bundle, under the name that stands after the kind in a target: `kind:place`.

    Made with that place; raises UsageError for one that it cannot be. What cannot be reached or is not there raises
    RegistryError, what is damaged BundleError. A version once pushed never changes; tags may be moved. `pull` fetches
    into an empty folder, and whoever called it checks what came: names, content, address and signature.
    """

    def __init__(self, place: str) -> None:
        self.place = place

    @abstractmethod
    def push(self, content: Content, tags: Sequence[str]) -> Version:
        """Keep a content with the signature beside it, as a new version unless the latest is the same, and tag it."""

    @abstractmethod
    def versions(self) -> list[Version]:
        """All versions, by number; none where the name is not known."""

    @abstractmethod
    def fetch(self, version: Version, folder: Path) -> None:
        """Write the files of a version, and its signature, into an empty folder."""

    def find(self, wanted: str) -> Version:
        """The version that is meant by `3`, `sha256-...` (the first 8 digits or more), `latest`, or a tag.

        Raises RegistryError where there is none, or several.
        """
        known = self.versions()
        if not known:
            raise RegistryError(f"{self.place} holds no versions: nothing was pushed there.")
        found = [version for version in known if _is_meant(version, wanted, known[-1])]
        if not found or len({version.address for version in found}) > 1:
            told = f"{len(found)} versions" if found else "no version"
            tags = sorted({tag for version in known for tag in version.tags})
            raise RegistryError(
                f"{self.place} holds {told} {wanted!r}: expected a number from {known[0].number} to "
                f"{known[-1].number}, sha256-..., {', '.join([LATEST, *tags])}."
                f"{suggest(wanted, [LATEST, *tags])}"
            )
        return found[-1]


def _is_meant(version: Version, wanted: str, last: Version) -> bool:
    if wanted == LATEST:
        return version == last
    if wanted.startswith(DIGEST):
        return len(wanted) >= len(DIGEST) + 8 and version.address.startswith(SCHEME + wanted.removeprefix(DIGEST))
    return wanted in (str(version.number), *version.tags)


@contextmanager
def asking(whom: str) -> Iterator[None]:
    """Turn whatever the client of a registry raises into a RegistryError that names it; our own errors pass."""
    try:
        yield
    except LinnaeaError:
        raise
    except Exception as error:
        raise RegistryError(f"{whom} does not do what is asked: {reason_of(error)}") from error


def require_tag(tag: str) -> None:
    """Raise UsageError for a tag that is none, or could be taken for a number, an address or the latest version."""
    if tag == LATEST or tag.startswith(DIGEST) or not TAG.fullmatch(tag) or re.fullmatch(r"v\d+", tag):
        raise UsageError(
            f"{tag!r} is no tag: expected a word such as production, of letters, digits, dots and dashes; latest, "
            "v1 and sha256-... have a meaning already."
        )


MODEL_REGISTRIES: Registry[type[ModelRegistry]] = Registry(
    "model registry",
    "linnaea.delivery.model_registries",
    title="Model registries",
    use="Named in the target of `linnaea push` and `linnaea pull`: `kind:place@version`.",
)
