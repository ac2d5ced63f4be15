"""COCO instances, as several labels per image (Lin et al. 2014).

<https://cocodataset.org/#format-data>
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnaea.data.sources.assembling import assemble
from linnaea.data.sources.contract import SOURCES, Source
from linnaea.data.sources.split_words import split_of
from linnaea.data.sources.taxonomy import from_pairs
from linnaea.data.sources.trees import Folder, under
from linnaea.dataset import Dataset, Excluded
from linnaea.errors import DataError
from linnaea.runtime.boundary import parsing
from linnaea.runtime.containers.names import leads_outside
from linnaea.runtime.text import MOST_TABLE_BYTES, read_text

PATTERNS = ("annotations/instances_*.json", "instances_*.json", "*/_annotations.coco.json", "_annotations.coco.json")
EXPECTED = "expected an object with images, annotations and categories"
NO_GROUP = ("", "none")
TRIED = 50  # images that are looked for in each folder that could be theirs


@dataclass(frozen=True)
class Instances:
    """One file: `images` maps the number of an image to its file name, `labels` to the names of what is on it."""

    file: Path
    images: Mapping[Any, str]
    labels: Mapping[Any, set[str]]
    classes: tuple[str, ...]
    groups: Mapping[str, str]

    @property
    def part(self) -> str:
        """What the file is about, by its name, such as train2017; by its folder if its name says nothing."""
        stem = self.file.stem
        return stem.removeprefix("instances_") if stem.startswith("instances_") else self.file.parent.name

    @property
    def split(self) -> str | None:
        """The split that the part's name begins with."""
        word = re.match(r"[a-z]*", self.part.lower())
        return split_of(word[0]) if word else None


def detects(path: Path) -> bool:
    """A JSON file, or a folder with one under a usual name."""
    return path.suffix.lower() == ".json" if path.is_file() else bool(_files_in(path))


def read(path: Path) -> Dataset:
    """`annotations/instances_*.json` with image folders beside, or such a file: the categories of an image's objects.

    An image without an object has no label. Groups of categories (`supercategory`) are the taxonomy. Images that are
    not there are listed. Raises DataError where an object names an image or a category that the file does not have.
    """
    files = [path] if path.is_file() else _files_in(path)
    inside = files[0].parent.name == "annotations"
    root = path if path.is_dir() else files[0].parent.parent if inside else files[0].parent
    rows: list[tuple[str, list[str], str | None]] = []
    excluded: list[Excluded] = []
    parts = [_load(file) for file in files]
    for part in parts:
        for number, place, reason in _places(part, root):
            if reason:
                excluded.append(Excluded(place, reason))
            else:
                rows.append((place, sorted(part.labels.get(number, ())), part.split))
    paths, labels, splits = zip(*rows, strict=True) if rows else ((), (), ())
    pairs = {pair for part in parts for pair in part.groups.items()}
    return assemble(
        {"path": paths, "label": labels, "split": splits},
        excluded,
        root,
        classes=[name for part in parts for name in part.classes],
        taxonomy=from_pairs(sorted(pairs), str(path)),
    )


def _files_in(folder: Path) -> list[Path]:
    found = (sorted(folder.glob(pattern)) for pattern in PATTERNS) if folder.is_dir() else ()
    return next((files for files in found if files), [])


def _load(file: Path) -> Instances:
    """Read a file; raises DataError where it is no COCO file, or names what it does not have."""
    text = read_text(file, MOST_TABLE_BYTES)
    with parsing(file, "COCO instances", EXPECTED):
        content = json.loads(text)
    try:
        images, categories = content["images"], content["categories"]
        objects = [(entry["image_id"], entry["category_id"]) for entry in content["annotations"]]
        names = {entry["id"]: str(entry["name"]) for entry in categories}
        files = {entry["id"]: str(entry["file_name"]) for entry in images}
        groups = {str(entry["name"]): str(entry.get("supercategory") or "") for entry in categories}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{file} cannot be read as COCO instances ({why}): {EXPECTED}.") from None
    _require_known(file, "images", [image for image, _ in objects], files, len(images))
    _require_known(file, "categories", [category for _, category in objects], names, len(categories))
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise DataError(f"{file} uses {len(twice)} category names twice (first {twice[0]!r}): rename one of each.")
    labels: dict[Any, set[str]] = defaultdict(set)
    for image, category in objects:
        labels[image].add(names[category])
    groups = {name: group for name, group in groups.items() if group.lower() not in NO_GROUP and group != name}
    used = {names[category] for _, category in objects}
    classes = tuple(name for name in names.values() if name in used or name not in groups.values())
    return Instances(file, files, labels, classes, groups)


def _require_known(file: Path, what: str, named: list[Any], known: Mapping[Any, str], listed: int) -> None:
    if len(known) < listed:
        raise DataError(f"{file} gives {listed - len(known)} {what} the id of another: expected a unique id for each.")
    strange = [number for number in named if number not in known]
    if strange:
        several = sorted({repr(number) for number in strange})
        raise DataError(
            f"{len(strange)} annotations in {file} refer to {what} that the file does not list (ids "
            f"{', '.join(several[:3])}{', ...' * (len(several) > 3)}): add these {what}, or remove the annotations."
        )


def _places(part: Instances, root: Path) -> Iterator[tuple[Any, str, str | None]]:
    """The number of each image, its path below the root, and why it cannot be used."""
    folder, seen = _image_folder(part, root), set()
    inside = {number: name for number, name in part.images.items() if not leads_outside(name)}
    there = dict(zip(inside, Folder(root).have([under(folder, name) for name in inside.values()]), strict=True))
    for number, name in part.images.items():
        reason = "path leads outside the table's folder" if number not in inside else None
        reason = reason or ("named twice in the file" if name in seen else None)
        seen.add(name)
        yield number, under(folder, name), reason or (None if there[number] else "file not found")


def _image_folder(part: Instances, root: Path) -> str:
    """The folder, from the root, in which the images are: of those where it is usual, the first that has some."""
    beside = part.file.parent.relative_to(root).as_posix().removeprefix(".")
    short = re.sub(r"\d+$", "", part.part)
    usual = [beside, *(f"{before}{name}" for before in ("", "images/") for name in (part.part, short)), "images", ""]
    names = [name for name in list(part.images.values())[:TRIED] if not leads_outside(name)]
    tree = Folder(root)
    return next((folder for folder in usual if any(tree.have([under(folder, name) for name in names]))), part.part)


SOURCES.register(
    "COCO",
    title="COCO",
    meaning="`annotations/instances_*.json` with image folders beside: the categories of an image's objects.",
    order=50,
)(Source(detects, read))
