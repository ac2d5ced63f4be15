"""The contract of a model registry."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from linnaea.classifier.content import SCHEME, Content
from linnaea.errors import LinnaeaError, RegistryError, UsageError, suggest
from linnaea.registry import Registry
from linnaea.runtime.boundary import reason_of

LATEST = "latest"
PUSH, PROMOTION, ROLLBACK = "push", "promotion", "rollback"  # what moves a tag
NO_HISTORY = (
    "{} keeps no history of its tags, so that nothing could be taken back: promote into a folder or into MLflow."
)
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


@dataclass(frozen=True)
class Move:
    """That a tag was made to point to a version: which one, and what it pointed to `before` (None: nothing).

    `by` is one of `PUSH`, `PROMOTION` and `ROLLBACK`, `reason` why, and `time` when, ISO 8601.
    """

    version: int
    before: int | None
    by: str
    reason: str
    time: str

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return asdict(self)


def in_force(moves: Sequence[Move]) -> list[int]:
    """The versions that a tag pointed to one after the other, the present one last, less those that were taken back."""
    known = [] if not moves or moves[0].before is None else [moves[0].before]
    for move in moves:
        if move.by == ROLLBACK and move.version in known:
            del known[known.index(move.version) + 1 :]
        elif known[-1:] != [move.version]:
            known = [*(one for one in known if one != move.version), move.version]
    return known


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

    def move(self, tag: str, version: int, *, expected: int | None, by: str, reason: str) -> Move:
        """Let a tag point to another version, where it still points to the one `expected` (None: to none).

        The move is kept in the history of the tag. Raises RegistryError where it points elsewhere by now, and where the
        registry keeps no history.
        """
        raise RegistryError(NO_HISTORY.format(self.place))

    def moves(self, tag: str) -> list[Move]:
        """The history of a tag, the first move first; raises RegistryError where the registry keeps none."""
        raise RegistryError(NO_HISTORY.format(self.place))

    def pointed(self, tag: str) -> int | None:
        """The version that a tag points to; None where there is no such tag."""
        return next((version.number for version in self.versions() if tag in version.tags), None)

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


def require_expected(place: str, tag: str, found: int | None, expected: int | None) -> None:
    """Raise RegistryError where a tag was moved by somebody else meanwhile."""
    if found != expected:
        was, is_now = ("no version" if number is None else f"version {number}" for number in (expected, found))
        raise RegistryError(
            f"{tag} of {place} points to {is_now}, and to {was} when this began: somebody else moved it meanwhile. "
            "Nothing was changed; look at what is there now, and compare with that."
        )


def now() -> str:
    """The time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


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
"""Capability: `history`, it keeps every move of its tags, so that a promotion can be taken back."""
