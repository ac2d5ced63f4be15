"""A folder of image files with a manifest."""

from pathlib import Path, PurePosixPath

from linnaea.data.sources.assembling import SUFFIXES
from linnaea.data.writers.contract import WRITERS, Copies, Writer
from linnaea.data.writers.names import Names, safe
from linnaea.dataset import Dataset
from linnaea.runtime.containers import MARK
from linnaea.runtime.images import suffix_of

DIGITS = 6


def write(dataset: Dataset, folder: Path, most: int) -> Dataset:
    """Image files in folders by split and class (`train/cat/1.jpg`), or `images`, with `manifest.csv`."""
    names, copies = Names(), Copies(dataset)
    places = {name: names.give("", safe(name)) for name in dataset.classes}
    labels = None if dataset.multilabel else dataset.labels
    splits = dataset.column("split") if dataset.has("split") else [None] * len(dataset)
    ids = dataset.ids
    for row, content in copies.each():
        below = "images" if labels is None else places[labels[row]]
        below = f"{splits[row]}/{below}" if splits[row] else below
        place = f"{below}/{names.give(below, *_stem_and_suffix(ids[row], content))}"
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        copies.paths.append(place)
    return copies.written(folder)


def _stem_and_suffix(name: str, content: bytes) -> tuple[str, str]:
    """A file's name in two parts; numbers get zeros before them, so that their order is that of the names."""
    last = PurePosixPath(name.rpartition(MARK)[2] or name)
    known = last.suffix.lower() in SUFFIXES
    stem = last.stem if known else last.name
    return safe(stem.zfill(DIGITS) if stem.isdigit() else stem), last.suffix if known else suffix_of(content)


WRITERS.register(
    "folder",
    title="Folders",
    meaning="Image files in folders by split and class (`train/cat/1.jpg`), or `images`, with `manifest.csv`.",
)(Writer(write))
