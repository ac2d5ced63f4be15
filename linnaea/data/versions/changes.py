"""What changed from one version of a dataset to another, image by image."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from linnaea.data.hashing import hashed
from linnaea.data.versions.matching import Pair, match
from linnaea.dataset import Dataset
from linnaea.runtime.cells import join_cell
from linnaea.runtime.neutral import neutral

KINDS = {
    "added": "only in the second",
    "removed": "only in the first",
    "moved": "the same content under another path",
    "changed": "different content under the same path",
    "relabelled": "a different label",
    "resplit": "a different split",
    "regrouped": "a different group",
    "retimed": "a different time",
    "left out": "used in the first, left out of the second",
    "taken in": "left out of the first, used in the second",
}
COLUMNS = {"relabelled": "label", "resplit": "split", "regrouped": "group", "retimed": "time"}
NOT_FOUND = "file not found"
MOST_SHOWN = 3


@dataclass(frozen=True)
class Change:
    """One difference in one image: its kind, a key of `KINDS`, its path, and what was before and is after."""

    kind: str
    path: str
    before: str | None = None
    after: str | None = None

    def __str__(self) -> str:
        if self.kind == "moved":
            return f"{self.before} to {self.path}"
        return f"{self.path} ({self.before or 'none'} to {self.after or 'none'})" if self.kind in COLUMNS else self.path


@dataclass(frozen=True)
class Diff:
    """What changed from a first to a second version of a dataset.

    `names`, `fingerprints` and `images` (used ones) are those of the two; `changes` has a row per image and kind,
    `classes` the images of each class; `notes` say what was not compared.
    """

    names: tuple[str, str]
    fingerprints: tuple[str, str]
    images: tuple[int, int]
    changes: tuple[Change, ...]
    classes: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether anything changed."""
        return bool(self.changes)

    @property
    def counts(self) -> dict[str, int]:
        """Images per kind of change, in the order of `KINDS`, without those that there are none of."""
        counts = Counter(change.kind for change in self.changes)
        return {kind: counts[kind] for kind in KINDS if counts[kind]}

    def of(self, kind: str) -> list[Change]:
        """The changes of one kind."""
        return [change for change in self.changes if change.kind == kind]

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {
            "versions": [
                {"name": name, "fingerprint": fingerprint, "images": images}
                for name, fingerprint, images in zip(self.names, self.fingerprints, self.images, strict=True)
            ],
            "differs": self.differs,
            "counts": self.counts,
            "classes": list(self.classes),
            "changes": [asdict(change) for change in self.changes],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        heads = [f"{name}: {images} images" for name, images in zip(self.names, self.images, strict=True)]
        return "\n".join(map(neutral, [*heads, *(list(self._told()) or ["Nothing differs."]), *self.notes]))

    def _told(self) -> Iterator[str]:
        for kind, count in self.counts.items():
            shown = ", ".join(map(str, self.of(kind)[:MOST_SHOWN]))
            yield f"{count} {kind} ({KINDS[kind]}): {shown}{', ...' if count > MOST_SHOWN else ''}"
        for row in self.classes:
            if row["before"] != row["after"]:
                yield f"class {row['class']}: {row['before']} images before, {row['after']} after"


def diff(first: Dataset, second: Dataset, names: tuple[str, str] = ("first", "second")) -> Diff:
    """What changed from the first to the second dataset; see `linnaea.data.versions.matching` for which image is which.

    Contents are those in the column `sha256`; where it is missing the files are read, each once. What only one of the
    two says of its images is not compared, which `notes` say.
    """
    recorded = first.has("sha256"), second.has("sha256")
    one, other = hashed(first, second)
    pairs = match(one, other)
    alone, passed_over = _alone(one, other, pairs, recorded)
    changes = [*alone, *_together(one, other, pairs)]
    changes.sort(key=lambda change: (list(KINDS).index(change.kind), change.path))
    return Diff(
        names,
        (one.fingerprint, other.fingerprint),
        (len(one), len(other)),
        tuple(changes),
        tuple(_classes(one, other)),
        tuple(_notes(one, other, names, passed_over)),
    )


def _together(one: Dataset, other: Dataset, pairs: list[Pair]) -> Iterator[Change]:
    """What changed in images that both have."""
    before, after = _texts(one), _texts(other)
    for left, right in pairs:
        path, was = after["path"][right], before["path"][left]
        if path != was:
            yield Change("moved", path, was, path)
        elif after["sha256"][right] != before["sha256"][left]:
            yield Change("changed", path, before["sha256"][left], after["sha256"][right])
        for kind, name in COLUMNS.items():
            if name in before and name in after and before[name][left] != after[name][right]:
                yield Change(kind, path, before[name][left] or None, after[name][right] or None)


def _alone(
    one: Dataset, other: Dataset, pairs: list[Pair], recorded: tuple[bool, bool]
) -> tuple[list[Change], list[str]]:
    """Images that only one of the two uses.

    And the paths of those that one uses and the other left out, where nobody looked into the file of the first.
    """
    lost, gained = _reasons(other), _reasons(one)
    changes, passed_over = [], []
    for path, label in _unmatched(one, {left for left, _ in pairs}):
        if lost.get(path, NOT_FOUND) == NOT_FOUND:
            changes.append(Change("removed", path, label))
        elif recorded[0]:
            changes.append(Change("left out", path, label, lost[path]))
        else:
            passed_over.append(path)
    for path, label in _unmatched(other, {right for _, right in pairs}):
        if path not in gained:
            changes.append(Change("added", path, None, label))
        elif recorded[1] or gained[path] == NOT_FOUND:
            changes.append(Change("taken in", path, gained[path], label))
        else:
            passed_over.append(path)
    seen = {*other.ids, *lost}
    listed = [entry for entry in one.excluded if entry.reason == NOT_FOUND and entry.path not in seen]
    return [*changes, *(Change("removed", entry.path, entry.label) for entry in listed)], passed_over


def _unmatched(dataset: Dataset, matched: set[int]) -> list[tuple[str, str]]:
    texts = _texts(dataset)
    rows = (row for row in range(len(dataset)) if row not in matched)
    return [(texts["path"][row], texts["label"][row]) for row in rows]


def _reasons(dataset: Dataset) -> dict[str, str]:
    return {entry.path: entry.reason for entry in dataset.excluded}


def _texts(dataset: Dataset) -> dict[str, list[str]]:
    """The columns that are compared, each value as the cell of a manifest; empty where there is none."""
    names = [name for name in ("path", "sha256", *COLUMNS.values()) if dataset.has(name)]
    texts = {name: ["" if value is None else str(value) for value in dataset.column(name)] for name in names}
    if dataset.multilabel:
        texts["label"] = [join_cell(sorted(labels)) for labels in dataset.labels]
    return texts


def _classes(one: Dataset, other: Dataset) -> Iterator[dict[str, Any]]:
    """Images of each class before and after."""
    before, after = (Counter(label for labels in part.label_lists for label in labels) for part in (one, other))
    for name in dict.fromkeys((*one.classes, *other.classes)):
        yield {"class": name, "before": before[name], "after": after[name]}


def _notes(one: Dataset, other: Dataset, names: tuple[str, str], passed_over: list[str]) -> Iterator[str]:
    for name in COLUMNS.values():
        if one.has(name) != other.has(name):
            with_it, without = names if one.has(name) else reversed(names)
            yield f"Not compared: {name}, which {with_it} has and {without} does not."
    if passed_over:
        yield (
            f"Not compared: {len(passed_over)} files that one left out and the other lists without having read them "
            f"(first {min(passed_over)})."
        )
