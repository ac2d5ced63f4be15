"""Which version of a classifier is in use: a tag in a registry, moved for a reason, and back."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.classifier.content import DESCRIPTION
from linnaea.classifier.signature import Trust
from linnaea.delivery.model_registries.contract import (
    MODEL_REGISTRIES,
    PROMOTION,
    ROLLBACK,
    ModelRegistry,
    Move,
    Version,
    in_force,
    require_tag,
)
from linnaea.delivery.model_registries.passing import pull, push
from linnaea.delivery.model_registries.target import Target
from linnaea.errors import RegistryError, UsageError
from linnaea.runtime.files import sha256_of

USUAL_TAG = "production"


@dataclass(frozen=True)
class Place:
    """A tag of a bundle in a registry, such as `production` of `models/birds`: the server asks it what is in use."""

    target: str
    tag: str = USUAL_TAG

    def __post_init__(self) -> None:
        meant = Target.read(self.target)
        require_tag(self.tag)
        if meant.version:
            raise UsageError(f"{self.target!r} names a version: give the place alone, and the tag with --tag.")
        if not MODEL_REGISTRIES.about(meant.kind).capabilities.get("history"):
            known = [name for name in MODEL_REGISTRIES if MODEL_REGISTRIES.about(name).capabilities.get("history")]
            raise UsageError(
                f"{self.target!r} keeps no history of its tags, so that nothing could be taken back: expected one of "
                f"the kinds {', '.join(known)}."
            )

    @property
    def source(self) -> str:
        """What `linnaea pull` and a server take."""
        meant = Target.read(self.target)
        return f"{meant.kind}:{meant.place}@{self.tag}"

    def open(self) -> ModelRegistry:
        """The registry."""
        return Target.read(self.target).open()

    def __str__(self) -> str:
        return f"{self.tag} of {Target.read(self.target)}"


@dataclass(frozen=True)
class Moved:
    """That a tag was moved: where, from which version to which, and why."""

    place: Place
    version: Version
    move: Move

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {"source": self.place.source, "address": self.version.address, **self.move.to_json()}

    def __str__(self) -> str:
        before = "nothing" if self.move.before is None else f"version {self.move.before}"
        return f"{self.place} is version {self.move.version}, and was {before}.\n{self.version.address}"


def in_use(place: Place) -> Version | None:
    """The version that a tag points to; None where there is no such tag, or nothing at all."""
    return next((version for version in place.open().versions() if place.tag in version.tags), None)


def description_of(place: Place, version: Version, trust: Trust = None) -> str:
    """The SHA-256 of `classifier.json` of a version, all of which is checked."""
    with fetched(place, version, trust) as folder:
        return sha256_of(folder / DESCRIPTION)


@contextmanager
def fetched(place: Place, version: Version, trust: Trust = None) -> Iterator[Path]:
    """A version, checked, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="linnaea-version-") as around:
        folder = Path(around) / "bundle"
        pull(f"{place.source.rpartition('@')[0]}@{version.number}", folder, trust=trust)
        yield folder
        shutil.rmtree(folder)


def promote(bundle: Path, place: Place, *, expected: int | None, reason: str) -> Moved:
    """Push a bundle as a version, and let the tag point to it where it still points to the one `expected`.

    Raises RegistryError where somebody else has moved the tag meanwhile; the version is kept all the same.
    """
    version = push(bundle, place.target).version
    move = place.open().move(place.tag, version.number, expected=expected, by=PROMOTION, reason=reason)
    return Moved(place, version, move)


def roll_back(place: Place, *, reason: str, to: str | None = None, trust: Trust = None) -> Moved:
    """Let the tag point to the version before, or to the one that `to` names, which is checked before.

    Raises RegistryError where there is none, where it is that already, and where somebody else moves the tag.
    """
    if not reason.strip():
        raise UsageError("there is no reason: say why it is taken back with --reason, for those who will ask later.")
    registry = place.open()
    present = in_use(place)
    if present is None:
        raise RegistryError(f"{place} points to nothing: there is nothing to take back.")
    wanted = registry.find(to) if to is not None else _before(place, registry, present)
    if wanted.number == present.number:
        raise RegistryError(f"{place} points to version {present.number} already.")
    with fetched(place, wanted, trust):
        pass
    move = registry.move(place.tag, wanted.number, expected=present.number, by=ROLLBACK, reason=reason.strip())
    return Moved(place, wanted, move)


def _before(place: Place, registry: ModelRegistry, present: Version) -> Version:
    """The version that was in use before the present one, and was not taken back itself."""
    moves = registry.moves(place.tag)
    earlier: Sequence[int] = [number for number in in_force(moves) if number != present.number]
    if not earlier:
        raise RegistryError(
            f"there is no version before version {present.number} in the history of {place}: name one with --to."
        )
    return registry.find(str(earlier[-1]))
