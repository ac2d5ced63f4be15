"""WebDataset shards: tar files in which the parts of an image share a name, `0001.jpg` and `0001.json`.

<https://github.com/webdataset/webdataset>
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from linnaea.data.sources import taxonomy
from linnaea.data.sources.assembling import SUFFIXES, assemble
from linnaea.data.sources.contract import SOURCES, Source
from linnaea.data.sources.loading import json_text
from linnaea.data.sources.missing import MISSING, tell_missing
from linnaea.data.sources.several import read_lists
from linnaea.data.sources.split_words import split_of
from linnaea.data.sources.trees import Folder, Packed, is_hidden
from linnaea.dataset import LISTS, Dataset, Excluded
from linnaea.errors import DataError
from linnaea.runtime.boundary import parsing
from linnaea.runtime.containers.tars import NAME, first_names
from linnaea.runtime.text import decoded, read_lines
from linnaea.runtime.words import counted

LABELS = ("json", "cls", "txt")  # the first that is there is used
CLASS_FILES = ("classes.txt", "classnames.txt")
WORDS = re.compile(r"[a-z]+")
LOOKED_AT = 200  # names in a tar that decide whether it is a shard
Row = dict[str, Any]


def detects(path: Path) -> bool:
    """A tar file, or a folder with some in it or in its folders, in which images have labels beside them."""
    files = _files(path)
    return bool(files) and _is_shard(files[0])


def read(path: Path) -> Dataset:
    """`*.tar` with `key.jpg` beside `key.json`, `key.cls` or `key.txt`; JSON has `label` or `labels`, `split`, `group`.

    The split is else that in the name of the tar or its folder. Numbers in `.cls` are named by `classes.txt` beside
    the tars, a name per line. The tars are read where they lie, image by image, and never unpacked.
    """
    root = path if path.is_dir() else path.parent
    names = _class_names(root)
    rows: list[Row] = []
    excluded: list[Excluded] = []
    for file in _files(path):
        for found in _samples(Packed(file, root), names, _split_of(file.relative_to(root))):
            if isinstance(found, Excluded):
                excluded.append(found)
            else:
                rows.append(found)
    rows, unlabelled = _labelled(rows, str(path))
    excluded += unlabelled
    if any(isinstance(row["label"], list) for row in rows):
        rows = [row if isinstance(row["label"], list) else {**row, "label": [row["label"]]} for row in rows]
    columns = {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}
    required = {"path": columns.pop("path", []), "label": columns.pop("label", [])}
    return assemble(required | columns, excluded, root, taxonomy=taxonomy.beside(Folder(root)))


def with_images(folder: Path) -> list[Path]:
    """The tar files in a folder, or in one right below it, whose first files are images, with labels or without."""
    return [file for file in _files(folder) if any("image" in parts for _, parts in _groups_in(file))]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if NAME.search(path.name) else []
    found = (*path.glob("*"), *path.glob("*/*")) if path.is_dir() else ()
    return sorted(file for file in found if NAME.search(file.name) and not is_hidden(file.name) and file.is_file())


def _groups_in(file: Path) -> Iterable[tuple[str, dict[str, list[str]]]]:
    """What belongs together among the first files of a tar."""
    return _groups(first_names(file, LOOKED_AT)).items()


def _is_shard(file: Path) -> bool:
    """Whether an image has a label beside it; text counts at the top only, since folders may hold captions."""
    return any(
        "image" in parts and ({"json", "cls"} & parts.keys() or ("txt" in parts and "/" not in key))
        for key, parts in _groups_in(file)
    )


def _groups(names: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """For each key the names that belong to it, by their ending in small letters; that of an image is "image"."""
    groups: dict[str, dict[str, list[str]]] = {}
    for name in names:
        folder, slash, last = name.rpartition("/")
        stem, _, ending = last.partition(".")
        kind = "image" if f".{ending.lower()}" in SUFFIXES else ending.lower()
        groups.setdefault(folder + slash + stem, {}).setdefault(kind, []).append(name)
    return groups


def _split_of(file: Path) -> str | None:
    words = (word for part in reversed(file.parts) for word in WORDS.findall(part.lower()))
    return next((split for word in words if (split := split_of(word))), None)


def _class_names(root: Path) -> list[str]:
    file = next((root / name for name in CLASS_FILES if (root / name).is_file()), None)
    return read_lines(file) if file else []


def _samples(tree: Packed, names: Sequence[str], split: str | None) -> Iterator[Row | Excluded]:
    """A row for each image with a label, and what is left out."""
    yield from tree.refused
    for key, parts in _groups(tree.container.names()).items():
        label = next((kind for kind in LABELS if kind in parts), None)
        places = [tree.id(name) for name in parts.get("image", ())]
        if not places:
            yield Excluded(tree.id(next(iter(parts.values()))[0]), f"no image named {key} in the shard")
        elif label is None:
            yield from (Excluded(place, "no label given") for place in places)
        elif len(places) > 1 or len(parts[label]) > 1:
            told = f"{counted(len(places), 'image')} and {counted(len(parts[label]), 'label')}"
            yield from (Excluded(place, f"ambiguous: {told} named {key} in the shard") for place in places)
        else:
            inner = parts[label][0]
            row = {"path": places[0], "split": split} | READERS[label](tree.read(inner), names, tree.shown(inner))
            yield row if row["label"] is not None else Excluded(places[0], "no label given")


def _from_json(content: bytes, names: Sequence[str], where: str) -> Row:
    """`label` or `labels`, and whatever else there is, text as it is."""
    text = decoded(content, where)
    with parsing(where, "JSON", "expected an object with a label"):
        facts = json.loads(text)
    facts = facts if isinstance(facts, dict) else {"label": facts}
    found = facts.pop("labels") if "labels" in facts else facts.pop("label", None)
    label = [_named(name, names, where) for name in found] if isinstance(found, list) else _named(found, names, where)
    row = {str(name): _plain(value, name) for name, value in facts.items() if name not in ("path", "sha256")}
    if row.get("split") is not None:
        row["split"] = _split(row["split"], where)
    return {name: value for name, value in row.items() if value is not None} | {"label": label}


def _labelled(rows: list[Row], where: str) -> tuple[list[Row], list[Excluded]]:
    """The rows with labels as names or lists of names, and images whose label is a word for a missing one.

    Shards that `linnaea.convert` wrote say where each image came from; what they say is taken as it is.
    """
    theirs = [row for row in rows if isinstance(row["label"], str) and "source" not in row]
    tell_missing(pa.array([row["label"] for row in theirs], pa.string()).dictionary_encode(), "label", where)
    lost = {row["path"] for row in theirs if row["label"].strip() in MISSING}
    names = list(dict.fromkeys(row["label"] for row in theirs if row["path"] not in lost))
    lists = read_lists(names, where, alone=True)
    known = dict(zip(names, lists, strict=True)) if lists is not None else {}
    own = {row["path"] for row in theirs}
    kept = [
        {**row, "label": known.get(row["label"], row["label"])} if row["path"] in own else row
        for row in rows
        if row["path"] not in lost
    ]
    return kept, [Excluded(path, "no label given") for path in sorted(lost)]


def _split(name: str, where: str) -> str:
    split = split_of(name)
    if split is None:
        raise DataError(f"{where} has the split {name!r}; expected train, val or test.")
    return split


def _plain(value: Any, name: str) -> Any:
    if value is None or isinstance(value, str):
        return value
    return [str(item) for item in value] if name in LISTS and isinstance(value, list) else json.dumps(value)


def _from_text(content: bytes, names: Sequence[str], where: str) -> Row:
    """One label as text, or as a number."""
    text = decoded(content, where).strip("\r\n")
    return {"label": _named(int(text) if text.isascii() and text.isdigit() else text, names, where)}


def _named(label: Any, names: Sequence[str], where: str) -> str | None:
    """The label as text; a number by its name, where there are names."""
    if isinstance(label, int) and not isinstance(label, bool) and names:
        if not 0 <= label < len(names):
            raise DataError(f"{where} has the label {label}, but there are names for only {len(names)} classes.")
        return names[label]
    if not isinstance(label, str | int | float | None):
        raise DataError(f"{where} has the label {label!r}; expected a name, a number, or a list of them.")
    text = json_text(label)
    return None if text is None or not text.strip() else text


READERS = {"json": _from_json, "cls": _from_text, "txt": _from_text}


SOURCES.register(
    "shards",
    title="Shards",
    meaning="`*.tar` with `key.jpg` beside `key.json`, `key.cls` or `key.txt`.",
    order=110,
)(Source(detects, read))
