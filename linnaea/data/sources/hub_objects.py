"""Objects of the library `datasets`: a Dataset, or a DatasetDict with one per split.

<https://huggingface.co/docs/datasets/image_dataset>
"""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from linnaea.data.sources import table
from linnaea.data.sources.contract import SOURCES, Source
from linnaea.data.sources.loading import LEFT_OUT, json_text
from linnaea.data.sources.split_words import splits_among
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError, suggest
from linnaea.runtime.cache import cache_folder
from linnaea.runtime.cells import as_csv, escape, join_cell
from linnaea.runtime.containers.contract import MOST_MEMBER_BYTES
from linnaea.runtime.files import whole_folder, write_text
from linnaea.runtime.images import suffix_of
from linnaea.runtime.reading import read_regular

logger = logging.getLogger("linnaea")
TABLE = "manifest.csv"
LABEL_NAMES = ("label", "labels", "fine_label", "class", "target")
Row = dict[str, str]


def detects(given: Any) -> bool:
    """An object with features and columns, or a dictionary of such."""
    parts = list(given.values()) if isinstance(given, Mapping) else [given]
    return bool(parts) and all(hasattr(part, "features") and hasattr(part, "cast_column") for part in parts)


def read(given: Any, folder: Path | None = None) -> Dataset:
    """A `datasets.Dataset` or `DatasetDict` with an Image column and a column of labels.

    Their images lie in no files of their own, so they are written once into `folder`, byte by byte as they are, with a
    table that is then read; by default below the cache, under the fingerprint of the data. Raises DataError where
    there is no image or no label, or the splits have other names than usual.
    """
    parts = _parts(given)
    folder = folder or _place(parts)
    if not (folder / TABLE).is_file():
        with whole_folder(folder) as partial:
            rows = [row for split, part in parts.items() for row in _write(part, split, partial)]
            names = list(dict.fromkeys(["path", "label", "split", *(name for row in rows for name in row), LEFT_OUT]))
            write_text(partial / TABLE, as_csv([names, *([row.get(name, "") for name in names] for row in rows)]))
        logger.info(f"{len(rows)} images were written to {folder}.")
    return table.read(folder / TABLE)


def _parts(given: Any) -> dict[str | None, Any]:
    if not isinstance(given, Mapping):
        return {None: given}
    splits = splits_among(map(str, given))
    strange = [name for name in given if str(name) not in splits]
    if strange:
        raise DataError(
            f"the splits are {', '.join(map(str, given))}; expected names such as train, validation and test: select "
            f"some, or rename {strange[0]!r}."
        )
    alike = [name for name in given if list(splits.values()).count(splits[str(name)]) > 1]
    if alike:
        raise DataError(f"the splits {', '.join(map(str, alike))} are all read as {splits[str(alike[0])]}: select one.")
    return {splits[str(name)]: part for name, part in given.items()}


def _place(parts: Mapping[str | None, Any]) -> Path:
    marks = [getattr(part, "_fingerprint", None) for part in parts.values()]
    home = cache_folder()
    if home is None or None in marks:
        raise UsageError("the images of this object need a folder on disk: name one, linnaea.read(data, folder=...).")
    return home / "sets" / "-".join(map(str, marks))


def _write(part: Any, split: str | None, folder: Path) -> Iterator[Row]:
    """Write every image into a folder of its split, and yield the rows of the table."""
    from datasets import Image

    image, label = _columns(part.features or {})
    named = _named(part.features[label])
    kept = [name for name, kind in part.features.items() if type(kind).__name__ == "Value" and name != label]
    place = folder / (split or "images")
    place.mkdir()
    for number, row in enumerate(part.cast_column(image, Image(decode=False))):
        content, path = row[image]["bytes"], row[image]["path"]
        content = read_regular(Path(path), MOST_MEMBER_BYTES) if content is None else content
        file = place / f"{number:08}{suffix_of(content)}"
        file.write_bytes(content)
        facts = {name: "" if row[name] is None else str(row[name]) for name in kept}
        yield {**facts, "path": f"{place.name}/{file.name}", "label": _cell(row[label], named), "split": split or ""}


def _columns(features: Mapping[str, Any]) -> tuple[str, str]:
    """The names of the columns with images and labels."""
    images = [name for name, kind in features.items() if type(kind).__name__ == "Image"]
    classes = [name for name, kind in features.items() if hasattr(_inner(kind), "names")]
    labels = [name for name in LABEL_NAMES if name in features] or classes
    if not images or not labels:
        raise DataError(
            f"the columns are {', '.join(features)}; expected one with the feature Image, and one with labels, named "
            f"'label' or with the feature ClassLabel.{suggest('label', features)}"
        )
    return images[0], labels[0]


def _inner(kind: Any) -> Any:
    """The feature of the items of a list, the feature itself otherwise."""
    return kind[0] if isinstance(kind, list) and kind else getattr(kind, "feature", kind)


def _named(kind: Any) -> list[str] | None:
    names = getattr(_inner(kind), "names", None)
    return None if names is None else [str(name) for name in names]


def _cell(label: Any, names: list[str] | None) -> str:
    """A label, or a list of them, as a cell of a table; -1 stands for none, as on the hub."""
    if isinstance(label, list):
        return join_cell([_name(entry, names) for entry in label])
    return escape(_name(label, names))


def _name(label: Any, names: list[str] | None) -> str:
    if label is None or (names and label == -1):
        return ""
    return names[label] if names and isinstance(label, int) else json_text(label) or ""


SOURCES.register(
    "datasets object",
    title="Object of the library datasets",
    meaning="A `datasets.Dataset` or `DatasetDict` with an Image column and a column of labels.",
    order=10,
)(Source(detects, read, writes=True))
