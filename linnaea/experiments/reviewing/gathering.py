"""Images to look at, from wherever they are asked for, with what a classifier says of them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from linnaea.classifier import Classifier
from linnaea.data.hashing import hash_files
from linnaea.data.review import Facts, ReviewFolder
from linnaea.data.sources.loading import ENDINGS, PATH_NAMES, as_text, load, require_column
from linnaea.delivery.reviewing.items import Item, doubt_of, in_order, why_of
from linnaea.delivery.reviewing.session import Rules
from linnaea.errors import DataError, UsageError
from linnaea.experiments.asking.unlabelled import look_at, told_of
from linnaea.experiments.image_files import image_files
from linnaea.experiments.reviewing.from_log import is_log, items_of_log, ranks_of
from linnaea.experiments.reviewing.from_run import items_of_run
from linnaea.run import Run
from linnaea.runtime.containers import Located, locate
from linnaea.runtime.text import MOST_TABLE_BYTES, read_bytes
from linnaea.runtime.words import counted
from linnaea.task import TASKS

logger = logging.getLogger("linnaea")


@dataclass(frozen=True)
class Review:
    """The images to look at, those in most doubt first, where labels go, and what was left out."""

    items: list[Item]
    rules: Rules
    folder: ReviewFolder
    left_out: dict[str, int] = field(default_factory=dict)
    after: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = "".join(f", {count:,} {why}" for why, count in self.left_out.items())
        return f"{counted(len(self.items), 'image')} to look at{told}."

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {
            "images": [item.to_json() for item in self.items],
            "classes": list(self.rules.classes),
            "left_out": self.left_out,
            "folder": str(self.folder.folder),
        }


def gathered(
    classifier: Classifier, run: Run | None, source: Path | None, out: Path, most: int, *, before: bool = False
) -> Review:
    """What to look at of a source, None for the run itself; images that are in the folder `out` already are left out.

    Raises DataError where nothing is left, UsageError where `out` is the folder of something else.
    """
    folder = ReviewFolder(out)
    folder.require_ours()
    if source is None and run is None:
        raise UsageError("no run is around this classifier, whose images could be looked at: give others with --from.")
    items, left_out = _found(classifier, run, source)
    known = folder.reviewed()
    digests = _digests(items) if known else []
    new = [item for item, digest in zip(items, digests, strict=True) if digest not in known] if known else items
    if len(new) < len(items):
        left_out[f"in {out} already"] = len(items) - len(new)
    if not new:
        told = ", ".join(f"{count:,} {why}" for why, count in left_out.items())
        raise DataError(f"there is nothing to review{f' ({told})' if told else ''}: give other images with --from.")
    shown = in_order(new, most)
    if len(shown) < len(new):
        left_out["in less doubt"] = len(new) - len(shown)
    rules = Rules(classifier.classes, TASKS[classifier.task].multilabel, before)
    return Review(shown, rules, folder, left_out)


def _found(classifier: Classifier, run: Run | None, source: Path | None) -> tuple[list[Item], dict[str, int]]:
    if source is None:
        assert run is not None, "whoever has none was refused"
        return items_of_run(run)
    if is_log(source):
        items, left_out, faults = items_of_log(source)
        for fault in faults:
            logger.warning(f"{source}: {fault}")
        return items, left_out
    if source.suffix.lower() in ENDINGS:
        return items_of_files(classifier, _listed(source), in_their_order=True), {}
    return items_of_files(classifier, image_files(source)), {}


def items_of_files(classifier: Classifier, paths: Sequence[Located], *, in_their_order: bool = False) -> list[Item]:
    """What the classifier says of files; copies once. A list of `ask` keeps its order, the first in most doubt."""
    seen = look_at(classifier, paths)
    rows = told_of(seen, classifier, np.arange(len(paths)))
    ranks = ranks_of([row["ood_score"] for row in rows])
    items, met = list[Item](), set[str]()
    for place, (row, rank) in enumerate(zip(rows, ranks, strict=True)):
        if row["sha256"] and row["sha256"] in met:
            continue
        met.add(row["sha256"])
        doubt = 1 - place / len(rows) if in_their_order else doubt_of(row["reason"], row["confidence"], rank)
        facts = Facts("" if row["answer"] == "-" else row["answer"], row["confidence"], row["reason"])
        why = why_of(row["reason"], row["confidence"])
        items.append(Item(paths[place], doubt, why, facts, sha256=row["sha256"]))
    return items


def _listed(table: Path) -> list[Located]:
    """The images that a table names, relative to its folder."""
    records = load(read_bytes(table, MOST_TABLE_BYTES), str(table))
    names = as_text(records, require_column(records, PATH_NAMES, str(table)), str(table)).drop_null().to_pylist()
    if not names:
        raise DataError(f"{table} names no images: it has a header and no rows.")
    return locate(table.parent, names)


def _digests(items: Sequence[Item]) -> list[str]:
    """The hash of each image, "" where it cannot be read."""
    wanted = [item.path for item in items if not item.sha256]
    found = iter(hash_files(wanted))
    return [item.sha256 or _text(next(found)) for item in items]


def _text(digest: str | Exception) -> str:
    return digest if isinstance(digest, str) else ""


def with_next(review: Review, commands: Sequence[str]) -> Review:
    """The same, with the commands that come after it."""
    return replace(review, after=tuple(commands))
