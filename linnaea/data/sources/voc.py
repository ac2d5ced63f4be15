"""Pascal VOC, as several labels per image (Everingham et al. 2010).

<http://host.robots.ox.ac.uk/pascal/VOC/>
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from linnaea.data.sources.assembling import assemble
from linnaea.data.sources.folders import reason_to_skip
from linnaea.data.sources.trees import Folder
from linnaea.dataset import SPLITS, Dataset, Excluded
from linnaea.errors import DataError

IMAGES, OBJECTS, LISTS = "JPEGImages", "Annotations", "ImageSets/Main"


def detects(path: Path) -> bool:
    """A folder with `JPEGImages` and `Annotations`."""
    return (path / IMAGES).is_dir() and (path / OBJECTS).is_dir()


def read(path: Path) -> Dataset:
    """`JPEGImages/*`, `Annotations/*.xml` and the lists in `ImageSets/Main`: the names of an image's objects.

    A class of which an image shows only objects marked as difficult is unknown there, as in the challenge. Images that
    are in none of the lists are left out where there are lists. Raises DataError for XML that cannot be read or
    declares a document type, which the format does not need and by which a reader can be attacked.
    """
    splits = _splits(path)
    rows: list[tuple[str, list[str], list[str], str | None]] = []
    excluded: list[Excluded] = []
    annotated = {file.stem: file for file in sorted((path / OBJECTS).glob("*.xml"))}
    images = {Path(name).stem: name for name in Folder(path).files(IMAGES)}
    for stem, name in sorted(images.items()):
        reason = _reason(stem, name, annotated, splits)
        if reason:
            excluded.append(Excluded(Folder(path).id(name), reason))
        else:
            sure, difficult = _objects(annotated[stem])
            rows.append((name, sorted(sure), sorted(difficult - sure), splits.get(stem)))
    excluded += _absent(images, annotated, splits)
    paths, labels, unknown, parts = zip(*rows, strict=True) if rows else ((), (), (), ())
    columns: dict[str, Any] = {"path": paths, "label": labels, "split": parts}
    if any(unknown):
        columns["unknown"] = unknown
    return assemble(columns, excluded, path, taxonomy={})


def _reason(stem: str, name: str, annotated: dict[str, Path], splits: dict[str, str]) -> str | None:
    reason = reason_to_skip(name)
    if reason is None and splits and stem not in splits:
        reason = f"in none of the lists in {LISTS}"
    return reason or (None if stem in annotated else f"no file in {OBJECTS}")


def _absent(images: dict[str, str], annotated: dict[str, Path], splits: dict[str, str]) -> Iterator[Excluded]:
    """What lists or annotations name and no image is there for."""
    for stem in sorted((splits.keys() or annotated.keys()) - images.keys()):
        yield Excluded(f"{IMAGES}/{stem}.jpg", "file not found")


def _splits(path: Path) -> dict[str, str]:
    """The split of each image by its stem; raises DataError where two lists name one image."""
    found: dict[str, str] = {}
    for split in SPLITS:
        file = path / LISTS / f"{split}.txt"
        for line in file.read_text("utf-8").splitlines() if file.is_file() else ():
            stem = (line.split() or [""])[0]
            if stem and found.setdefault(stem, split) != split:
                raise DataError(f"{path / LISTS} has {stem!r} in {found[stem]}.txt and in {split}.txt: expected one.")
    return found


class _Builder(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called before any entity is declared, so that none can be expanded."""
        raise DataError(f"it declares a document type {name!r}, which no annotation needs")


def _objects(file: Path) -> tuple[set[str], set[str]]:
    """The names of the objects that count, and of those marked as difficult."""
    try:
        root = ET.fromstring(file.read_bytes(), ET.XMLParser(target=_Builder()))  # noqa: S314
        objects = [
            (entry.findtext("name", "").strip(), entry.findtext("difficult", "0")) for entry in root.iter("object")
        ]
    except (ET.ParseError, DataError, ValueError, LookupError) as error:
        raise DataError(f"{file} cannot be read as an annotation ({error}).") from None
    if not all(name for name, _ in objects):
        raise DataError(f"{file} has an object without a name: expected the name of its class.")
    sure = {name for name, difficult in objects if difficult.strip() != "1"}
    return sure, {name for name, _ in objects}
