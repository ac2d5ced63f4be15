"""Several sources as one dataset, in which what was labelled later counts."""

import logging
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from linnaea.data.hashing import hashed
from linnaea.data.review import NONE_OF_THESE
from linnaea.data.sources.assembling import assemble
from linnaea.data.sources.reading import read
from linnaea.dataset import LISTS, Dataset, Excluded
from linnaea.runtime.words import counted

logger = logging.getLogger("linnaea")


def read_together(data: Any, also: Sequence[Any]) -> Dataset:
    """Labelled images in any form and, beside them, those of further sources; see `together`."""
    first, *others = (one if isinstance(one, Dataset) else read(one) for one in (data, *also))
    return together(first, others) if others else first


def together(first: Dataset, others: Sequence[Dataset]) -> Dataset:
    """The images of several sources: an image that an earlier one has, by its bytes, stays there with the later label.

    So whoever reviews the images of a training set corrects it; an image stays in its split, and one that a review
    calls none of the classes is left out. Where the first has splits, images of others that have none join train; the
    audit finds those that leak. All files are read for their hashes. What each source adds is said.
    """
    first, *others = hashed(first, *others)
    both = _Both(first)
    for other in others:
        both.add(other)
    taxonomy = {child: parent for one in (first, *others) for child, parent in one.taxonomy.items()}
    classes = dict.fromkeys(name for one in (first, *others) for name in one.classes)
    return assemble(both.columns(), both.excluded, first.root, classes=tuple(classes), taxonomy=taxonomy)


def place_of(source: Any) -> str:
    """Where a source is."""
    return str(source.root.resolve() if isinstance(source, Dataset) else source)


def nameable(also: Sequence[Any]) -> Any:
    """The sources as a recipe names them; the first that is a dataset, which none can name, in place of all."""
    return next((one for one in also if isinstance(one, Dataset)), list(also))


class _Both:
    """Rows of images by name of column, and where the image of each content stands."""

    def __init__(self, first: Dataset) -> None:
        self.rows = first.table.to_pylist()
        self.excluded = list(first.excluded)
        self.several = first.multilabel
        self.places = {row["sha256"]: place for place, row in enumerate(self.rows)}
        self.split = {"split": "train"} if first.has("split") else {}

    def add(self, other: Dataset) -> None:
        """Add the rows of a source, or their labels to images that are there."""
        folder, added, changed = other.root.resolve(), dict[str, int](), 0
        self.several = self.several or other.multilabel
        for row in other.table.to_pylist():
            path, place = (folder / row["path"]).as_posix(), self.places.get(row["sha256"])
            if place is None:
                added.setdefault(row["sha256"], len(self.rows))
                given = {} if row.get("split") else self.split
                self.rows.append({**row, **given, "path": path})
                continue
            known = self.rows[place]
            told = f"the same image as {known['path']}"
            if _names(known["label"]) != _names(row["label"]):
                known.update({"label": row["label"], **dict.fromkeys(name for name in LISTS if name in known)})
                told, changed = f"{told}, which has this label now", changed + 1
            self.excluded.append(Excluded(path, told))
        self.excluded += [Excluded((folder / one.path).as_posix(), *_rest(one)) for one in other.excluded]
        self.places |= added
        gone = self._leave_out(other)
        joined = f"{counted(len(added), 'image is', 'images are')} new"
        joined += " and in train" if self.split and not other.has("split") and added else ""
        logger.info(
            f"{folder}: {joined}, {counted(changed, 'label')} changed, "
            f"{counted(gone, 'image is', 'images are')} left out as none of the classes."
        )

    def _leave_out(self, other: Dataset) -> int:
        """Take out what a review calls none of the classes."""
        digests = {PurePosixPath(one.path).stem for one in other.excluded if one.reason == NONE_OF_THESE}
        lost = [row for row in self.rows if row["sha256"] in digests]
        self.excluded += [Excluded(row["path"], f"{NONE_OF_THESE}, as {other.root} has it") for row in lost]
        self.rows = [row for row in self.rows if row["sha256"] not in digests]
        self.places = {row["sha256"]: place for place, row in enumerate(self.rows)}
        return len(lost)

    def columns(self) -> dict[str, list[Any]]:
        """The values of each column, None where a source has none of that name; of several types as text."""
        names = dict.fromkeys(("path", "label", *(name for row in self.rows for name in row)))
        found = {name: [row.get(name) for row in self.rows] for name in names}
        for name, values in found.items():
            if name == "label" and self.several:
                found[name] = [_names(value) for value in values]
            elif len({type(value) for value in values if value is not None}) > 1:
                found[name] = [None if value is None else str(value) for value in values]
        return found


def _names(label: Any) -> list[str]:
    return sorted(label) if isinstance(label, list) else [label]


def _rest(entry: Excluded) -> tuple[Any, ...]:
    return entry.reason, entry.label, entry.split, entry.facts
