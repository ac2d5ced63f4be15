"""The content of a bundle: which files belong to it, refused where one could reach out of it, and its address."""

import hashlib
import json
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from linnaea.errors import BundleError
from linnaea.runtime.files import sha256_of

MOST_FILES = 4096
LONGEST_NAME = 255  # letters
DEEPEST = 32  # folders
SCHEME = "linnaea:sha256-"
DESCRIPTION = "classifier.json"
SIGNATURE = "signature.json"  # lies beside the content that it signs
COMPILED = "__pycache__"  # what Python leaves where a script was run
MEND = "take the original bundle"


@dataclass(frozen=True)
class Content:
    """The files of a bundle in `folder` by their names, such as `model/graph.onnx`, with the SHA-256 of each."""

    folder: Path
    files: Mapping[str, str]

    @cached_property
    def listing(self) -> bytes:
        """Names and hashes in one fixed form, whose SHA-256 is the address."""
        return json.dumps({"files": dict(self.files)}, sort_keys=True, separators=(",", ":")).encode()

    @property
    def address(self) -> str:
        """`linnaea:sha256-` and 64 digits: the same wherever the same files lie, another if any byte is another."""
        return f"{SCHEME}{hashlib.sha256(self.listing).hexdigest()}"

    @cached_property
    def bytes(self) -> int:
        """What all files hold together."""
        return sum((self.folder / name).stat().st_size for name in self.files)


def content_of(folder: Path) -> Content:
    """Name and hash every file in a folder; hidden files, `signature.json` and `__pycache__` do not belong to it.

    Raises BundleError for a link that leads out of the folder, what is no regular file, names that some systems hold
    for the same or for a place elsewhere, and more files than any bundle has.
    """
    try:
        names = sorted(_names_in(folder))
        require_names(names, str(folder))
        return Content(folder, {name: sha256_of(folder / name) for name in names})
    except OSError as error:
        raise BundleError(f"{error.filename or folder} cannot be read ({error.strerror or error}): {MEND}.") from None


def require_names(names: Iterable[str], where: str) -> None:
    """Raise BundleError unless all names are of files inside a folder, told apart on every system."""
    known: dict[str, str] = {}
    for name in names:
        if not is_inner_name(name):
            raise BundleError(f"{where} names the file {name!r}: expected one inside of its folder, as model/a.bin.")
        same = unicodedata.normalize("NFC", name).casefold()
        if same in known:
            raise BundleError(
                f"{where} holds {known[same]!r} and {name!r}, which are one file where upper and lower case are the "
                f"same: {MEND}."
            )
        known[same] = name
        if len(known) > MOST_FILES:
            raise BundleError(f"{where} holds more than {MOST_FILES:,} files, which no bundle has: {MEND}.")


def is_inner_name(name: object) -> bool:
    """Whether it names a file inside of a folder, in letters that every system takes: no absolute path, no `..`."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        return False
    parts = name.split("/")
    return len(parts) <= DEEPEST and not any(
        not part or part[0] in ". " or part[-1] in ". " or set(part) & set('\\:*?"<>|') for part in parts
    )


def is_address(text: str) -> bool:
    """Whether it is the address of a content."""
    digits = text.removeprefix(SCHEME)
    return digits != text and len(digits) == 64 and set(digits) <= set("0123456789abcdef")


def _names_in(root: Path) -> Iterator[str]:
    """The name of each file below a folder."""
    inside, found = os.path.realpath(root), 0
    waiting = [(root, "")]
    while waiting:
        folder, above = waiting.pop()
        with os.scandir(folder) as entries:
            some = list(islice(entries, MOST_FILES + 1))
        for entry in some:
            if entry.name.startswith(".") or entry.name == COMPILED or above + entry.name == SIGNATURE:
                continue
            found += 1
            if found > MOST_FILES:
                raise BundleError(f"{root} holds more than {MOST_FILES:,} files, which no bundle has: {MEND}.")
            if _is_folder(Path(entry.path), inside):
                if above.count("/") + 1 >= DEEPEST:
                    raise BundleError(f"{entry.path} lies more than {DEEPEST} folders deep: {MEND}.")
                waiting.append((Path(entry.path), f"{above}{entry.name}/"))
            else:
                yield above + entry.name


def _is_folder(path: Path, inside: str) -> bool:
    """Whether it is a folder; raises BundleError for what is neither folder nor file, or lies elsewhere."""
    if path.is_symlink():
        target = os.path.realpath(path)
        if not Path(target).is_relative_to(inside) or Path(target).is_dir():
            raise BundleError(f"{path} is a link to {target}: expected the file itself in the bundle; copy it there.")
    kind = path.stat().st_mode
    if not stat.S_ISDIR(kind) and not stat.S_ISREG(kind):
        raise BundleError(f"{path} is a pipe, a socket or a device, not a file: {MEND}.")
    return stat.S_ISDIR(kind)
