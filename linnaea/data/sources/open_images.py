"""Open Images labels, verified by people: several per image, most of them unknown (Kuznetsova et al. 2020).

<https://storage.googleapis.com/openimages/web/download_v7.html>
"""

import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from linnaea.data.sources.assembling import assemble
from linnaea.data.sources.contract import SOURCES, Source
from linnaea.data.sources.loading import load
from linnaea.data.sources.split_words import SPLIT_OF, WORDS
from linnaea.data.sources.trees import Folder, under
from linnaea.dataset import Dataset, Excluded
from linnaea.errors import DataError
from linnaea.runtime.boundary import parsing
from linnaea.runtime.cells import rows_in
from linnaea.runtime.containers.names import leads_outside
from linnaea.runtime.reading import open_regular
from linnaea.runtime.text import MOST_TABLE_BYTES, read_bytes, read_text

HEADER = b"ImageID,Source,LabelName,Confidence"
COLUMNS = ["ImageID", "LabelName", "Confidence"]
SPLIT_WORD = re.compile(r"(?<![a-z])(train|validation|test)(?![a-z])")
TRIED = 50  # images that are looked for in each folder that could be theirs
Cells = npt.NDArray[np.int64]


def detects(path: Path) -> bool:
    """A CSV file that begins with `ImageID,Source,LabelName,Confidence`, or a folder with one in it."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """`ImageID,Source,LabelName,Confidence`: 1 is there, 0 is not, and every other class of an image is unknown.

    So is a class of which two rows say different things. Images lie beside the file, in `images` or in a folder with
    the name of the split. Names of classes come from a file `*class-descriptions*.csv` beside. Images that are not
    there are listed.
    """
    files = _files(path)
    root = files[0].parent
    records = pa.concat_tables([_load(file) for file in files])
    images = records.column("ImageID").combine_chunks().dictionary_encode()
    names = records.column("LabelName").combine_chunks().dictionary_encode()
    labels, absent = _verified(images, names, records.column("Confidence").to_numpy())
    keys, splits = images.dictionary.to_pylist(), _splits(images, records.column("split"))
    places = _places(keys, splits, root)
    there = pa.array([place is not None for place in places], pa.bool_())
    described = _descriptions(root, names.dictionary.to_pylist())
    columns: dict[str, Any] = {
        "path": places,
        "label": _lists(labels, described, len(keys)),
        "split": splits,
        "absent": _lists(absent, described, len(keys)),
    }
    table = pa.table(columns).filter(there)
    excluded = [Excluded(f"{key}.jpg", "file not found") for key, place in zip(keys, places, strict=True) if not place]
    return assemble(dict(zip(table.column_names, table.columns, strict=True)), excluded, root, taxonomy={})


def _files(path: Path) -> list[Path]:
    found = [path] if path.suffix.lower() == ".csv" else sorted(path.glob("*.csv")) if path.is_dir() else []
    return [file for file in found if file.is_file() and _begins(file)]


def _begins(file: Path) -> bool:
    with open_regular(file) as handle:
        return handle.read(len(BOM_UTF8) + len(HEADER)).removeprefix(BOM_UTF8).startswith(HEADER)


def _load(file: Path) -> pa.Table:
    records = load(read_bytes(file, MOST_TABLE_BYTES), str(file)).select(COLUMNS)
    try:
        confidence = pc.cast(records.column("Confidence"), pa.float64())
    except pa.ArrowInvalid as error:
        raise DataError(f"{file} has a Confidence that is not a number ({error}): expected 0 to 1.") from None
    split = SPLIT_WORD.search(file.stem.lower())
    part = pa.array([SPLIT_OF[split[1]] if split else None] * len(records), pa.string())
    return records.set_column(2, "Confidence", confidence).append_column("split", part)


def _verified(images: Any, names: Any, confidence: npt.NDArray[np.float64]) -> tuple[Cells, Cells]:
    """What is there and what is not, as cells: the number of the image times the number of classes plus the class."""
    cells = images.indices.to_numpy().astype(np.int64) * max(1, len(names.dictionary)) + names.indices.to_numpy()
    present, absent = np.unique(cells[confidence == 1]), np.unique(cells[confidence == 0])
    return np.setdiff1d(present, absent), np.setdiff1d(absent, present)


def _lists(cells: Cells, names: Sequence[str], count: int) -> pa.Array:
    rows, places = np.divmod(cells, max(1, len(names)))
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(names, pa.string()).take(pa.array(places)))


def _splits(images: Any, splits: pa.ChunkedArray) -> list[str | None]:
    """The split of each image; raises DataError where files of two splits name one image."""
    found: dict[int, str | None] = {}
    for image, split in zip(images.indices.to_pylist(), splits.to_pylist(), strict=True):
        if found.setdefault(image, split) != split:
            name = images.dictionary[image].as_py()
            raise DataError(f"{name!r} is labelled in both {found[image]} and {split}: expected one split.")
    return [found[image] for image in range(len(images.dictionary))]


def _places(keys: Sequence[str], splits: Sequence[str | None], root: Path) -> list[str | None]:
    """Where each image is, from the root; None where it is not."""
    tree, places = Folder(root), dict.fromkeys(keys)
    for split in dict.fromkeys(splits):
        part = [key for key, own in zip(keys, splits, strict=True) if own == split and not leads_outside(key)]
        words = WORDS[split] if split else ()
        for folder in ("", "images", *words, *(f"images/{word}" for word in words)):
            if any(tree.have([under(folder, f"{key}.jpg") for key in part[:TRIED]])):
                there = tree.have([under(folder, f"{key}.jpg") for key in part])
                places |= {key: under(folder, f"{key}.jpg") for key, found in zip(part, there, strict=True) if found}
                break
    return [places[key] for key in keys]


def _descriptions(root: Path, labels: Sequence[str]) -> list[str]:
    """A distinct name for each label; the label itself where no file describes it."""
    file = next(iter(sorted(root.glob("*class-descriptions*.csv"))), None)
    if file is None:
        return list(labels)
    with parsing(file, "a table", "expected a label and its name in each row"):
        described = {row[0]: row[1] for row in rows_in(read_text(file)) if len(row) > 1}
    names = [described.get(label, label).strip() for label in labels]
    return [f"{name} ({label})" if names.count(name) > 1 else name for name, label in zip(names, labels, strict=True)]


SOURCES.register(
    "Open Images",
    title="Open Images",
    meaning="`ImageID,Source,LabelName,Confidence`: 1 is there, 0 is not, all else is unknown.",
    order=30,
)(Source(detects, read))
