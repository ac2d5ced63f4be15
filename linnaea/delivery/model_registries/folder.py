"""A folder as a model registry: files by their SHA-256, each once, and versions and tags that point to them.

/models/blobs/ab/ab12...           every file, and the listing of every content, under its own hash
/models/birds/versions/3.json      which content it is, and its signature
/models/birds/tags/production.json    which version it points to, and every version that it pointed to before
"""

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from linnaea.classifier.content import SCHEME, SIGNATURE, Content, is_address, require_names
from linnaea.classifier.signature import signature_text
from linnaea.delivery.model_registries.contract import (
    MODEL_REGISTRIES,
    PUSH,
    ModelRegistry,
    Move,
    Version,
    now,
    require_expected,
)
from linnaea.errors import BundleError, RegistryError, RunError, UsageError
from linnaea.runtime.files import read_json, sha256_of, write_json
from linnaea.runtime.locks import held_soon

BLOBS, VERSIONS, TAGS = "blobs", "versions", "tags"
FORMAT = "linnaea model registry 1"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
HASH = re.compile(r"[0-9a-f]{64}")


@MODEL_REGISTRIES.register(
    "folder",
    title="Folder",
    meaning="A folder on this machine or a shared disk: `folder:/models/birds` is the name birds in /models.",
    order=1,
    history=True,
)
class FolderRegistry(ModelRegistry):
    """Several processes, on several machines, may push and pull at once: nothing is ever written over but tags."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        folder = Path(place)
        if not NAME.fullmatch(folder.name) or folder.name == BLOBS:
            raise UsageError(
                f"{place!r} is no place for a model: expected a path whose last part is the name, of letters, "
                "digits, dots and dashes, such as models/birds."
            )
        self.folder, self.blobs = folder, folder.parent / BLOBS

    def push(self, content: Content, tags: Sequence[str]) -> Version:
        """Copy what is not there yet, write the version under the next free number, and move the tags."""
        self._require_mine()
        for name, digest in content.files.items():
            self._keep(content.folder / name, digest)
        self._keep_listing(content)
        signature = signature_text(content)
        number = self._same_as_last(content.address, signature) or self._numbered(content.address, signature)
        for tag in tags:
            with self._changing_tags():
                self._point(tag, Move(number, self._pointed(tag), PUSH, "", now()))
        return next(version for version in self.versions() if version.number == number)

    def versions(self) -> list[Version]:
        """By number, with their tags."""
        tags = {file.stem: _read_hashed(file)["version"] for file in sorted((self.folder / TAGS).glob("*.json"))}
        return [
            Version(
                number, self._record(number)["address"], tuple(tag for tag, meant in tags.items() if meant == number)
            )
            for number in self._numbers()
        ]

    def move(self, tag: str, version: int, *, expected: int | None, by: str, reason: str) -> Move:
        """Under a lock, so that of several processes that expect the same version only one moves it."""
        with self._changing_tags():
            before = self._pointed(tag)
            require_expected(self.place, tag, before, expected)
            self._record(version)  # which must be there, and whole
            made = Move(version, before, by, reason, now())
            self._point(tag, made)
        return made

    def moves(self, tag: str) -> list[Move]:
        """What the file of the tag holds; tags of earlier versions of Linnaea have none."""
        file = self._tag_file(tag)
        return [Move(**told) for told in _read_hashed(file).get("moves", ())] if file.is_file() else []

    @contextmanager
    def _changing_tags(self) -> Iterator[None]:
        with held_soon(self.folder / TAGS):
            yield

    def _tag_file(self, tag: str) -> Path:
        return self.folder / TAGS / f"{tag}.json"

    def _pointed(self, tag: str) -> int | None:
        file = self._tag_file(tag)
        return int(_read_hashed(file)["version"]) if file.is_file() else None

    def _point(self, tag: str, made: Move) -> None:
        """Write the tag with its whole history, in one stroke; a push of what it points to already changes nothing."""
        if made.by == PUSH and made.version == made.before:
            return
        moves = [*(move.to_json() for move in self.moves(tag)), made.to_json()]
        file = self._tag_file(tag)
        partial = _beside(file)  # of a name that no process on another machine has as well
        _write_hashed(partial, {"format": FORMAT, "version": made.version, "moves": moves})
        partial.replace(file)

    def fetch(self, version: Version, folder: Path) -> None:
        """Copy its files; a blob whose bytes are not those of its name is refused."""
        record = self._record(version.number)
        for name, digest in self._listing(record["address"]).items():
            blob = self._blob(digest)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(blob, folder / name)
            except FileNotFoundError:
                raise BundleError(f"{blob} is missing, which is {name} of {self.place}: push it again.") from None
            if sha256_of(folder / name) != digest:
                raise BundleError(f"{blob} is damaged, which is {name} of {self.place}: push the same bundle again.")
        if record["signature"] is not None:
            (folder / SIGNATURE).write_text(record["signature"], encoding="utf-8")

    def _require_mine(self) -> None:
        """Raise UsageError where the place holds other things, into which nothing is written."""
        if self.folder.is_dir() and not (self.folder / VERSIONS).is_dir() and any(self.folder.iterdir()):
            raise UsageError(f"{self.folder} holds other files: give another name, such as {self.folder}-models/birds.")

    def _numbers(self) -> list[int]:
        names = (file.stem for file in (self.folder / VERSIONS).glob("*.json"))
        return sorted(int(name) for name in names if name.isdecimal() and not name.startswith("0"))

    def _record(self, number: int) -> Mapping[str, Any]:
        file = self.folder / VERSIONS / f"{number}.json"
        record = _read_hashed(file)
        signature = record.get("signature")
        if not is_address(str(record.get("address"))) or not isinstance(signature, str | None):
            raise BundleError(f"{file} is not the record of a version: take the original.")
        return record

    def _listing(self, address: str) -> Mapping[str, str]:
        """The names and hashes of a content, which hash to its address."""
        file = self._blob(address.removeprefix(SCHEME))
        try:
            listing = file.read_bytes()
        except OSError as error:
            raise BundleError(f"{file}, the listing of {self.place}, cannot be read ({error.strerror}).") from None
        if f"{SCHEME}{hashlib.sha256(listing).hexdigest()}" != address:
            raise BundleError(f"{file}, the listing of {self.place}, is damaged: push the same bundle again.")
        files: Mapping[str, str] = json.loads(listing)["files"]
        require_names(files, str(file))
        if not all(HASH.fullmatch(digest) for digest in files.values()):
            raise BundleError(f"{file} holds what is no SHA-256: take the original bundle.")
        return files

    def _blob(self, digest: str) -> Path:
        return self.blobs / digest[:2] / digest

    def _keep(self, source: Path, digest: str) -> None:
        """A copy of a file under its hash, unless there is one that is whole."""
        blob = self._blob(digest)
        if blob.is_file() and sha256_of(blob) == digest:
            return
        blob.parent.mkdir(parents=True, exist_ok=True)
        partial = _beside(blob)
        try:
            shutil.copyfile(source, partial)
            if sha256_of(partial) != digest:
                raise BundleError(f"{source} changed while it was pushed: nothing points to it; push again.")
            _flush(partial)
            partial.replace(blob)
        finally:
            partial.unlink(missing_ok=True)

    def _keep_listing(self, content: Content) -> None:
        blob = self._blob(content.address.removeprefix(SCHEME))
        blob.parent.mkdir(parents=True, exist_ok=True)
        partial = _beside(blob)
        try:
            partial.write_bytes(content.listing)
            _flush(partial)
            partial.replace(blob)
        finally:
            partial.unlink(missing_ok=True)

    def _same_as_last(self, address: str, signature: str | None) -> int | None:
        numbers = self._numbers()
        if not numbers:
            return None
        record = self._record(numbers[-1])
        same = record["address"] == address and record["signature"] == signature
        return numbers[-1] if same else None

    def _numbered(self, address: str, signature: str | None) -> int:
        """Write the record under the next number that nobody has taken meanwhile."""
        record = {"format": FORMAT, "address": address, "signature": signature}
        while True:
            number = max(self._numbers(), default=0) + 1
            file = self.folder / VERSIONS / f"{number}.json"
            partial = _beside(file)
            _write_hashed(partial, record)
            try:
                os.link(partial, file)  # fails where the number is taken, unlike a rename
            except FileExistsError:
                continue
            except OSError as error:
                raise RegistryError(
                    f"{self.folder} cannot hold versions ({error.strerror}): expected a disk with hard links."
                ) from None
            finally:
                partial.unlink(missing_ok=True)
            return number


def _beside(file: Path) -> Path:
    return file.with_name(f".{file.name}.{uuid.uuid4().hex}.partial")


def _flush(file: Path) -> None:
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())


def _write_hashed(file: Path, content: Mapping[str, Any]) -> None:
    """Write an object with its own SHA-256, so that a damaged one is noticed."""
    write_json(file, {**content, "sha256": _digest(content)})


def _read_hashed(file: Path) -> dict[str, Any]:
    try:
        told = read_json(file)
    except (RunError, OSError) as error:
        raise BundleError(f"{file} cannot be read: {error}") from None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise BundleError(f"{file} is not of the format {FORMAT!r}.")
    if told.pop("sha256", None) != _digest(told):
        raise BundleError(f"{file} has changed since it was written (its SHA-256 differs): take the original.")
    return told


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
