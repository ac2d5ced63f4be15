"""A new version of the data of a run: what it had, and images that were reviewed since, none of which leaks.

An image that shows the same as one of the test split is used for nothing. One that shows the same as an image of train
or val joins it there. Of the rest, a share is put aside as the new test set, and another for val, by the hash of their
group or of their content: the same image falls the same way whenever, and with whatever others, it comes. Where images
belong together and their hashes disagree, all of them go to test, or else to val; so one that was in a test set never
comes into training later.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from linnaea.data.hashing import hashed
from linnaea.data.images.pixels import Recipe
from linnaea.data.sources import read
from linnaea.data.versions.changes import Diff, diff
from linnaea.dataset import SPLITS, Dataset, Excluded
from linnaea.errors import DataError, UsageError
from linnaea.experiments.preparation import Usable, usable
from linnaea.run import Run
from linnaea.runtime.cells import join_cell
from linnaea.runtime.words import counted

PROTECTED = ("test", "val", "train")  # where images that belong together go, the first that one of them is meant for
LEAKS = ": it would leak"
TORN = f"belongs together with images of train and with images of test{LEAKS}"
SAME_AS_TEST = "shows the same as the test image {}" + LEAKS


@dataclass(frozen=True)
class Shares:
    """Which shares of the reviewed images are put aside for test and for val, 0 to 1."""

    test: float = 0.3
    val: float = 0.15

    def split_of(self, key: str) -> str:
        """Where an image of this group or content falls."""
        number = int.from_bytes(hashlib.sha256(f"reviewed {key}".encode()).digest()[:8], "big") / 2**64
        return "test" if number < self.test else "val" if number < self.test + self.val else "train"


@dataclass(frozen=True)
class NewVersion:
    """The data of a run with reviewed images: `fresh` are their paths by split, `left_out` those used for nothing."""

    dataset: Dataset
    fresh: dict[str, list[str]]
    left_out: Sequence[Excluded]
    changes: Diff

    @property
    def images(self) -> int:
        """The reviewed images that are used."""
        return sum(map(len, self.fresh.values()))

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {
            "images": len(self.dataset),
            "fingerprint": self.dataset.fingerprint,
            "reviewed": {name: len(paths) for name, paths in self.fresh.items()},
            "left_out": [{"path": one.path, "reason": one.reason, "label": one.label} for one in self.left_out],
            "changes": self.changes.counts,
        }

    def __str__(self) -> str:
        parts = ", ".join(f"{len(self.fresh[name]):,} in {name}" for name in SPLITS)
        told = f"{counted(self.images, 'reviewed image is', 'reviewed images are')} new: {parts}."
        reasons = Counter("that would leak" if one.reason.endswith(LEAKS) else one.reason for one in self.left_out)
        gone = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
        return told + (f" Left out: {gone}." if gone else "")


def reviewed_images(run: Run, review: Path) -> Dataset:
    """The labelled images of a review folder, or of any labelled images, whose classes are those of a run.

    Raises DataError where there are none, and where they have other classes or another number of labels each.
    """
    old = run.dataset()
    given = read(review)
    if given.multilabel and not old.multilabel:
        raise DataError(f"{review} has several labels for an image, and {run.folder} was trained with one each.")
    if old.multilabel and not given.multilabel:
        table = given.table.set_column(
            given.table.column_names.index("label"), "label", pa.array([[label] for label in given.labels])
        )
        given = replace(given, table=table, task=old.task)
    strange = sorted({label for labels in given.label_lists for label in labels} - set(old.classes))
    if strange:
        raise DataError(
            f"{review} has labels that are no classes of {run.folder}: {', '.join(strange[:5])}; expected "
            f"{', '.join(old.classes[:10])}. `linnaea grow` adds classes to a run; or change these labels."
        )
    return given


def new_to(run: Run, given: Dataset) -> tuple[Dataset, list[Excluded]]:
    """The images whose content a run does not have yet, with their hashes, each once; and the others, and why."""
    known = {digest: (split, label) for digest, split, label in _contents(run.dataset())}
    (given,) = hashed(given)
    gone, seen = list[Excluded](), set[str]()
    for path, digest, label in zip(given.ids, given.column("sha256"), given.labels, strict=True):
        if digest in known:
            split, before = known[digest]
            told = f"already an image of the run, in {split}"
            gone.append(Excluded(path, told if label == before else f"{told}, labelled {_shown(before)} there"))
        elif digest in seen:
            gone.append(Excluded(path, "already among the reviewed images"))
        seen.add(digest)
    labelled = dict(zip(given.ids, given.labels, strict=True))
    return given.without(gone), [replace(one, label=_shown(labelled[one.path])) for one in gone]


def new_version(run: Run, given: Dataset, left_out: Sequence[Excluded], shares: Shares, recipe: Recipe) -> NewVersion:
    """Put images that are new to a run beside those it has, each in a split where it leaks nothing.

    Which show the same is judged as they are trained on, by the `recipe`, and again without those that leak. Raises
    DataError where images of the run are gone or have changed, and where too few are new for a training and a test set.
    """
    old = run.dataset()
    both = _beside(old, given)
    duplicates = run.record()["arguments"].get("duplicates") or "near"
    names, gone, leaking = set(old.ids), list[Excluded](), list[Excluded]()
    while True:
        found = usable(both.without(gone), recipe, duplicates=duplicates, unchanged=True)
        dataset, leaking = _placed(found, names, shares)
        if not leaking:
            break
        gone += leaking
    known = {*names, *(one.path for one in (*old.excluded, *gone))}
    gone += [one for one in dataset.excluded if one.path not in known]
    fresh: dict[str, list[str]] = {name: [] for name in SPLITS}
    for path, split in zip(dataset.ids, dataset.column("split"), strict=True):
        if path not in names:
            fresh[split].append(path)
    _require_enough(fresh, gone)
    return NewVersion(dataset, fresh, [*left_out, *gone], diff(old, dataset, (str(run.folder), "reviewed")))


def _contents(dataset: Dataset) -> Iterator[tuple[str, str, Any]]:
    return zip(dataset.column("sha256"), dataset.column("split"), dataset.labels, strict=True)


def _beside(old: Dataset, given: Dataset) -> Dataset:
    """One dataset of both, in the columns of the first; new rows by whole paths, without a hash and a split."""
    place = given.root.resolve()
    values: dict[str, Sequence[Any]] = {"path": [(place / name).as_posix() for name in given.ids]}
    values |= {name: given.column(name) for name in ("label", "group", "time", "unknown", "absent") if given.has(name)}
    schema = old.table.schema
    if "group" in values and not old.has("group"):
        schema = schema.append(pa.field("group", pa.string()))
    before = {field.name: old.column(field.name) for field in old.table.schema}
    tables = [
        pa.table([_array(field, part.get(field.name), count) for field in schema], schema=schema)
        for part, count in ((before, len(old)), (values, len(given)))
    ]
    return replace(old, table=pa.concat_tables(tables))


def _array(field: Any, values: Sequence[Any] | None, count: int) -> pa.Array:
    return pa.nulls(count, field.type) if values is None else pa.array(list(values), field.type)


def _placed(found: Usable, old: set[str], shares: Shares) -> tuple[Dataset, list[Excluded]]:
    """The splits of all rows, less new ones that may be in none; and these, with the reason."""
    dataset, units, copies = found.dataset, found.units.tolist(), found.duplicates.tolist()
    ids, splits = dataset.ids, list(dataset.column("split"))
    tested = {copy: path for copy, path, split in zip(copies, ids, splits, strict=True) if split == "test"}
    settled, meant = defaultdict[int, set[str]](set), defaultdict[int, set[str]](set)
    for path, unit, split, key in zip(ids, units, splits, _keys(dataset), strict=True):
        if path in old:
            settled[unit].add(split)
        else:
            meant[unit].add(shares.split_of(key))
    leaking = []
    for row, (path, unit, copy) in enumerate(zip(ids, units, copies, strict=True)):
        if path in old:
            continue
        wanted = settled.get(unit) or meant[unit]
        splits[row] = next(name for name in PROTECTED if name in wanted)
        if copy in tested:
            leaking.append(Excluded(path, SAME_AS_TEST.format(tested[copy])))
        elif {"train", "test"} <= wanted & settled.get(unit, set()):
            leaking.append(Excluded(path, TORN))
    return dataset.with_column("split", splits).without(leaking), leaking


def _keys(dataset: Dataset) -> Iterator[str]:
    """What decides where an image falls: its group, or its content."""
    groups = dataset.column("group") if dataset.has("group") else [None] * len(dataset)
    return (str(group or content) for group, content in zip(groups, dataset.column("sha256"), strict=True))


def _require_enough(fresh: dict[str, list[str]], gone: Sequence[Excluded]) -> None:
    lacking = [name for name in ("train", "test") if not fresh[name]]
    if not lacking:
        return
    counts = ", ".join(f"{len(fresh[name])} in {name}" for name in SPLITS)
    leaking = f", and {len(gone)} would leak" if gone else ""
    raise DataError(
        f"the reviewed images are too few to learn from some and judge by others: {counts}{leaking}. Review more, or "
        "put aside another share with --test-share."
    )


def require_shares(test: float, val: float) -> Shares:
    """The shares; raises UsageError where they leave nothing to learn from."""
    if not (0 < test < 1 and 0 <= val < 1 and test + val < 1):
        raise UsageError(
            f"the shares of the reviewed images for test and val are {test:g} and {val:g}; expected shares that leave "
            "some for training, such as 0.3 and 0.15."
        )
    return Shares(test, val)


def _shown(label: Any) -> str:
    return join_cell(label) if isinstance(label, list) else str(label)
