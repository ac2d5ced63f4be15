"""A folder, or an archive as if it were one: what the sources need of either."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from linnaea.dataset import Excluded
from linnaea.runtime.boundary import parsing
from linnaea.runtime.containers import MARK, locate, open_container
from linnaea.runtime.text import MOST_TABLE_BYTES, read_bytes

LITTER = frozenset(
    (
        "__macosx",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "@eadir",
        "#recycle",
        "#snapshot",
        "@recycle",
        "recycler",
        "$recycle.bin",
        "lost+found",
        "system volume information",
        "__pycache__",
        "icon\r",
    )
)  # what systems, disk stations and tools leave behind, in lower case
FOLLOW_LINKS = "LINNAEA_FOLLOW_LINKS"


class Tree(Protocol):
    """Files by their names relative to the top, with forward slashes; "" is the top itself.

    `root` is the folder that ids of a dataset are relative to.
    """

    root: Path

    @property
    def refused(self) -> Sequence[Excluded]:
        """What can never be read, as far as it was met."""
        ...

    def folders(self, below: str = "") -> list[str]:
        """The names of the folders right in a folder that a person put there, sorted."""
        ...

    def loose(self, below: str = "") -> list[tuple[str, bool]]:
        """Names right in a folder, sorted, each with whether it is a file; folders count only if hidden."""
        ...

    def files(self, below: str = "") -> Iterator[str]:
        """Every file in a folder or below it."""
        ...

    def have(self, names: Sequence[str]) -> list[bool]:
        """Whether each is a file."""
        ...

    def read(self, name: str) -> bytes:
        """The content of a file."""
        ...

    def id(self, name: str) -> str:
        """What a dataset calls the file."""
        ...

    def shown(self, name: str) -> str:
        """What a message calls the file."""
        ...


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one that systems leave behind rather than one a person put there."""
    return name.startswith(".") or name.lower() in LITTER


def under(below: str, name: str) -> str:
    """A name within a folder, from the top."""
    return f"{below}/{name}" if below else name


def as_text(name: str) -> str:
    """A name as the system gives it, with bytes that are no UTF-8 as question marks."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "replace")


class Folder:
    """A folder on the disk, each folder in it walked once.

    Links to folders within it are followed, links out of it only where `LINNAEA_FOLLOW_LINKS` is 1; those that are not
    are among `refused`, once they were met.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._links: dict[str, str] = {}

    @property
    def refused(self) -> list[Excluded]:
        """As in `Tree`."""
        return [Excluded(self.id(name), why) for name, why in self._links.items()]

    def folders(self, below: str = "") -> list[str]:
        """As in `Tree`."""
        with os.scandir(self.root / below) as entries:
            found = sorted(entry.name for entry in entries if not is_hidden(entry.name) and entry.is_dir())
        return [name for name in found if self._is_followed(under(below, name))]

    def _is_followed(self, name: str) -> bool:
        """Whether a folder is walked; a link that is not is noted."""
        place = self.root / name
        if not place.is_symlink():
            return True
        target, top = place.resolve(), self.root.resolve()
        if place.parent.resolve().is_relative_to(target):
            self._links[name] = "link to a folder that contains it"
        elif not target.is_relative_to(top) and os.environ.get(FOLLOW_LINKS) != "1":
            self._links[name] = f"link out of the folder, not followed (set {FOLLOW_LINKS}=1 to follow it)"
        return name not in self._links

    def loose(self, below: str = "") -> list[tuple[str, bool]]:
        """As in `Tree`."""
        with os.scandir(self.root / below) as entries:
            found = [(entry.name, entry.is_file()) for entry in entries]
        return sorted((name, is_file) for name, is_file in found if is_file or is_hidden(name))

    def files(self, below: str = "") -> Iterator[str]:
        """As in `Tree`."""
        top, visited = os.fspath(self.root), set()
        for parent, deeper, names in os.walk(self.root / below, followlinks=True):
            visited.add(os.path.realpath(parent))
            before = "" if parent == top else os.path.relpath(parent, top).replace(os.sep, "/") + "/"
            unseen = (name for name in deeper if os.path.realpath(os.path.join(parent, name)) not in visited)  # noqa: PTH118
            deeper[:] = sorted(name for name in unseen if self._is_followed(before + name))
            yield from (before + name for name in sorted(names))

    def have(self, names: Sequence[str]) -> list[bool]:
        """As in `Tree`; each folder is listed once, and only what is not listed is asked for by name."""
        listed: dict[str, set[str]] = {}
        there = set()
        for name in names:
            parent, _, last = name.rpartition("/")
            if parent not in listed:
                listed[parent] = _files_in(self.root / parent)
            if last in listed[parent]:
                there.add(name)
        others = [name for name in names if name not in there]
        there.update(name for name, file in zip(others, locate(self.root, others), strict=True) if file.is_file())
        return [name in there for name in names]

    def read(self, name: str) -> bytes:
        """As in `Tree`."""
        return read_bytes(self.root / name, MOST_TABLE_BYTES)

    def id(self, name: str) -> str:
        """As in `Tree`; bytes of a name that are no UTF-8 are shown as question marks."""
        return as_text(name)

    def shown(self, name: str) -> str:
        """As in `Tree`."""
        return str(self.root / name)


class Packed:
    """An archive; what it refuses is listed. Its ids are relative to `root`, by default the folder that it lies in."""

    def __init__(self, path: Path, root: Path | None = None) -> None:
        self.path, self.root = path, root or path.parent
        self._before = path.relative_to(self.root).as_posix() + MARK
        self.container = open_container(path)
        self.names = set(self.container.names())
        self.refused: Sequence[Excluded] = [Excluded(self.id(name), why) for name, why in self.container.refused]
        self._within: dict[str, dict[str, bool]] = defaultdict(dict)
        for name in self.names:
            self._add(name)

    def _add(self, name: str) -> None:
        """Note a file in its folder, and that folder in the one above it, up to the first that is known."""
        is_file = True
        while name:
            parent, _, last = name.rpartition("/")
            known = last in self._within[parent]
            self._within[parent][last] = is_file
            if known:
                return
            name, is_file = parent, False

    def folders(self, below: str = "") -> list[str]:
        """As in `Tree`."""
        return sorted(name for name, is_file in self._within[below].items() if not is_file and not is_hidden(name))

    def loose(self, below: str = "") -> list[tuple[str, bool]]:
        """As in `Tree`."""
        return sorted((name, is_file) for name, is_file in self._within[below].items() if is_file or is_hidden(name))

    def files(self, below: str = "") -> Iterator[str]:
        """As in `Tree`."""
        for name, is_file in sorted(self._within[below].items(), key=lambda entry: (not entry[1], entry[0])):
            if is_file:
                yield under(below, name)
            else:
                yield from self.files(under(below, name))

    def have(self, names: Sequence[str]) -> list[bool]:
        """As in `Tree`."""
        return [name in self.names for name in names]

    def read(self, name: str) -> bytes:
        """As in `Tree`."""
        with parsing(self.shown(name), "a whole file"):
            return self.container.read(name)

    def id(self, name: str) -> str:
        """As in `Tree`."""
        return self._before + name

    def shown(self, name: str) -> str:
        """As in `Tree`."""
        return f"{self.path}{MARK}{name}" if name else str(self.path)


def _files_in(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except OSError:
        return set()
