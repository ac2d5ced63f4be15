"""Pascal VOC, as several labels per image (Everingham et al. 2010).

<http://host.robots.ox.ac.uk/pascal/VOC/>
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.data.sources.assembling import assemble
from linnaea.data.sources.contract import SOURCES, Source
from linnaea.data.sources.folders import reason_to_skip
from linnaea.data.sources.trees import Folder
from linnaea.dataset import SPLITS, Dataset, Excluded
from linnaea.errors import DataError
from linnaea.runtime.boundary import parsing
from linnaea.runtime.text import decoded, read_bytes, read_lines

IMAGES, OBJECTS, LISTS = "JPEGImages", "Annotations", "ImageSets/Main"


@dataclass(frozen=True)
class Annotation:
    """What one XML file says: the file name of its image, the objects that count, and those that are difficult."""

    image: str
    sure: set[str]
    difficult: set[str]


def detects(path: Path) -> bool:
    """A folder with `JPEGImages` and `Annotations`."""
    return (path / IMAGES).is_dir() and (path / OBJECTS).is_dir()


def read(path: Path) -> Dataset:
    """`JPEGImages/*`, `Annotations/*.xml` and the lists in `ImageSets/Main`: the names of an image's objects.

    A class of which an image shows only objects marked as difficult is unknown there, as in the challenge. Images that
    are in none of the lists are left out where there are lists; so are two of one name, `1.jpg` and `1.png`, unless
    their annotation says which of them it is about. Raises DataError for XML that cannot be read or declares a document
    type, which the format does not need and by which a reader can be attacked.
    """
    splits = _splits(path)
    rows: list[tuple[str, list[str], list[str], str | None]] = []
    excluded: list[Excluded] = []
    annotated = {file.stem: file for file in sorted((path / OBJECTS).glob("*.xml"))}
    images = _images(path)
    for stem, names in sorted(images.items()):
        usable = [name for name in names if reason_to_skip(name) is None]
        found = _read(annotated[stem]) if usable and stem in annotated and (not splits or stem in splits) else None
        for name in names:
            reason = _reason(stem, name, annotated, splits) or _other(name, usable, found)
            if reason or found is None:
                excluded.append(Excluded(Folder(path).id(name), reason or f"no file in {OBJECTS}"))
            else:
                rows.append((name, sorted(found.sure), sorted(found.difficult - found.sure), splits.get(stem)))
    excluded += _absent(images.keys(), annotated, splits)
    paths, labels, unknown, parts = zip(*rows, strict=True) if rows else ((), (), (), ())
    columns: dict[str, Any] = {"path": paths, "label": labels, "split": parts}
    if any(unknown):
        columns["unknown"] = unknown
    return assemble(columns, excluded, path, taxonomy={})


def _images(path: Path) -> dict[str, list[str]]:
    """The images of each stem."""
    images: dict[str, list[str]] = {}
    for name in Folder(path).files(IMAGES):
        images.setdefault(Path(name).stem, []).append(name)
    return images


def _other(name: str, usable: list[str], found: Annotation | None) -> str | None:
    """Why an image is not the one that its annotation is about."""
    if len(usable) < 2 or found is None:
        return None
    meant = [other for other in usable if other.rpartition("/")[2] == found.image]
    if len(meant) == 1:
        return None if name == meant[0] else f"the annotation of this name is for {found.image}"
    others = ", ".join(other.rpartition("/")[2] for other in usable if other != name)
    return f"ambiguous: one annotation for this image and {others}"


def _reason(stem: str, name: str, annotated: dict[str, Path], splits: dict[str, str]) -> str | None:
    reason = reason_to_skip(name)
    if reason is None and splits and stem not in splits:
        reason = f"not in any list in {LISTS}"
    return reason or (None if stem in annotated else f"no file in {OBJECTS}")


def _absent(images: Set[str], annotated: dict[str, Path], splits: dict[str, str]) -> Iterator[Excluded]:
    """What lists or annotations name and no image is there for."""
    for stem in sorted((splits.keys() or annotated.keys()) - images):
        yield Excluded(f"{IMAGES}/{stem}.jpg", "file not found")


def _splits(path: Path) -> dict[str, str]:
    """The split of each image by its stem; raises DataError where two lists name one image."""
    found: dict[str, str] = {}
    for split in SPLITS:
        file = path / LISTS / f"{split}.txt"
        for line in read_lines(file) if file.is_file() else ():
            stem = (line.split() or [""])[0]
            if stem and found.setdefault(stem, split) != split:
                raise DataError(
                    f"{path / LISTS} has {stem!r} in both {found[stem]}.txt and {split}.txt: expected one split."
                )
    return found


class _Builder(ET.TreeBuilder):
    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called before any entity is declared, so that none can be expanded."""
        raise DataError(f"{self.where} declares a document type {name!r}, which no annotation needs: it is not read.")


def _read(file: Path) -> Annotation:
    """Read an annotation; raises DataError for what is none."""
    content = read_bytes(file)
    if content.startswith(b"<") and not content.startswith(b"<?xml"):  # without a declaration it must be UTF-8
        decoded(content, str(file))
    with parsing(file, "an annotation", "expected XML of Pascal VOC"):
        root = ET.fromstring(content, ET.XMLParser(target=_Builder(str(file))))  # noqa: S314
        image = root.findtext("filename", "").strip()
        objects = [
            (entry.findtext("name", "").strip(), entry.findtext("difficult", "0")) for entry in root.iter("object")
        ]
    if not all(name for name, _ in objects):
        raise DataError(f"{file} has an object without a name: expected the name of its class.")
    sure = {name for name, difficult in objects if difficult.strip() != "1"}
    return Annotation(image, sure, {name for name, _ in objects})


SOURCES.register(
    "Pascal VOC",
    title="Pascal VOC",
    meaning="`JPEGImages/*`, `Annotations/*.xml` and the lists in `ImageSets/Main`: the names of an image's objects.",
    order=60,
)(Source(detects, read))
