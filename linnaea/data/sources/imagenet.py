"""ImageNet and Tiny ImageNet: folders named after WordNet synsets, and a val folder with a file of answers.

<https://www.image-net.org/download.php>, <https://www.kaggle.com/c/imagenet-object-localization-challenge>
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from linnaea.data.sources.assembling import assemble
from linnaea.data.sources.contract import SOURCES, Source
from linnaea.data.sources.folders import loose_files, reason_to_skip
from linnaea.data.sources.split_words import splits_among
from linnaea.data.sources.trees import Folder, under
from linnaea.dataset import Dataset, Excluded
from linnaea.errors import DataError
from linnaea.runtime.boundary import parsing
from linnaea.runtime.cells import records_in
from linnaea.runtime.text import read_lines, read_text

SYNSET = re.compile(r"n\d{8}")
KAGGLE = Path("ILSVRC/Data/CLS-LOC")
ANSWERS = ("LOC_val_solution.csv", "val_annotations.txt")
SYNSETS = "wnids.txt"  # which only lists them
NAMES = ("LOC_synset_mapping.txt", "words.txt", "imagenet_class_index.json")


def detects(path: Path) -> bool:
    """Folders of which every one is named like `n01440764`, at the top or in a train folder."""
    return path.is_dir() and any(_are_synsets(folder) for folder in _training_folders(path))


def read(path: Path) -> Dataset:
    """`train/n01440764/*`, `val/n01440764/*` or a flat `val` with `LOC_val_solution.csv` or `val_annotations.txt`.

    Readable names come from `LOC_synset_mapping.txt`, `words.txt` or `imagenet_class_index.json` at the top; where two
    synsets share a name, it is followed by the synset. The column `synset` keeps the latter.
    """
    top = path / KAGGLE if (path / KAGGLE).is_dir() else path
    tree, below = Folder(path), top.relative_to(path).as_posix().removeprefix(".")
    splits = splits_among(tree.folders(below))
    answers = _answers(path, top)
    rows: list[tuple[str, str, str | None]] = []
    excluded: list[Excluded] = loose_files(tree, below)
    if _are_synsets(top):
        excluded += _add(tree, below, None, {}, rows)
    else:
        for name in tree.folders(below):
            folder, split = under(below, name), splits.get(name)
            if split is None:
                excluded += [Excluded(tree.id(file), "outside the split folders") for file in tree.files(folder)]
            else:
                excluded += _add(tree, folder, split, answers, rows)
    names = _readable(path, top, {synset for _, synset, _ in rows})
    columns = {
        "path": [file for file, _, _ in rows],
        "label": [names.get(synset, synset) for _, synset, _ in rows],
        "split": [split for _, _, split in rows],
        "synset": [synset for _, synset, _ in rows],
    }
    excluded = [entry for entry in excluded if entry.path.rpartition("/")[2] not in (*ANSWERS, *NAMES, SYNSETS)]
    return assemble(columns, excluded, path, taxonomy={})


def _training_folders(path: Path) -> list[Path]:
    tops = [top for top in (path, path / KAGGLE) if top.is_dir()]
    splits = [(top / name, split) for top in tops for name, split in splits_among(Folder(top).folders()).items()]
    trains = [folder for folder, split in splits if split == "train"]
    return [path, *trains]


def _are_synsets(folder: Path) -> bool:
    names = Folder(folder).folders()
    return bool(names) and all(map(SYNSET.fullmatch, names))


def _add(
    tree: Folder,
    folder: str,
    split: str | None,
    answers: Mapping[str, str],
    rows: list[tuple[str, str, str | None]],
) -> list[Excluded]:
    """Add each image with the synset of its folder, or else with the answer under its name; returns the others."""
    excluded = []
    for file in tree.files(folder):
        parts = file[len(folder) :].strip("/").split("/")
        reason = reason_to_skip("/".join(parts))
        synset = parts[0] if SYNSET.fullmatch(parts[0]) else answers.get(parts[-1], answers.get(Path(parts[-1]).stem))
        if reason or synset is None:
            excluded.append(Excluded(tree.id(file), reason or "no label given", split=split))
        else:
            rows.append((tree.id(file), synset, split))
    return excluded


def _answers(path: Path, top: Path) -> dict[str, str]:
    """The synset of each val image by its name, from the files that come with ImageNet or Tiny ImageNet."""
    for place in (path, top, *(top / name for name in ("val", "validation"))):
        if (place / ANSWERS[0]).is_file():
            with parsing(place / ANSWERS[0], "a table", "expected the columns ImageId,PredictionString"):
                rows = list(records_in(read_text(place / ANSWERS[0])))
            if rows and not {"ImageId", "PredictionString"} <= rows[0].keys():
                raise DataError(f"{place / ANSWERS[0]} does not have the columns ImageId,PredictionString.")
            return {row["ImageId"]: row["PredictionString"].split(" ")[0] for row in rows}
        if (place / ANSWERS[1]).is_file():
            lines = read_lines(place / ANSWERS[1])
            return {cells[0]: cells[1] for line in lines if len(cells := line.split("\t")) > 1}
    return {}


def _readable(path: Path, top: Path, synsets: set[str]) -> dict[str, str]:
    """A distinct readable name for each synset that has one: the first of its synonyms."""
    given = next((place / name for place in (path, top) for name in NAMES if (place / name).is_file()), None)
    if given is None:
        return {}
    with parsing(given, "names of classes", "expected a synset and its name in each line or entry"):
        if given.suffix == ".json":
            pairs = [(str(entry[0]), str(entry[1])) for entry in json.loads(read_text(given)).values()]
        else:
            pairs = [(line[:9], line[9:]) for line in read_lines(given)]
    first = {synset: words.split(",")[0].strip() for synset, words in pairs if synset in synsets}
    shared = [name for name in first.values() if name]
    twice = {name for name in shared if shared.count(name) > 1}
    return {synset: f"{name} ({synset})" if name in twice else name for synset, name in first.items() if name}


SOURCES.register(
    "ImageNet",
    title="ImageNet",
    meaning="`train/n01440764/*`, `val/n01440764/*`, or a flat `val` with a table of its labels.",
    order=100,
)(Source(detects, read))
