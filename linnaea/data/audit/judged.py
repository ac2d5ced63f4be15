"""A check on what can be judged: classes that have no image in val or test, and the groups that keep them out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from linnaea.data.audit.contract import CHECKS, Inspection
from linnaea.dataset import SPLITS, Dataset
from linnaea.finding import Finding
from linnaea.runtime.words import counted

MOST_NAMED = 3


@CHECKS.register("unjudged_classes", title="Unjudged classes", order=50)
def unjudged_classes(inspection: Inspection) -> Finding | None:
    """Classes without an image in val or test, or that will have none because their images belong together."""
    columns = _Columns.of(inspection)
    rows = [row for name, own in _rows_of_each(inspection.dataset).items() if (row := columns.row(name, own))]
    if not rows:
        return None
    listed = "; ".join(_told(row) for row in rows[:MOST_NAMED])
    more = f"; and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    held = any(row["apart"] < min(row["images"], len(SPLITS)) for row in rows)
    why = " Images that belong together are never torn apart by splits: add images of other groups." if held else ""
    return Finding(
        "unjudged_classes",
        f"{counted(len(rows), 'class', 'classes')} cannot be judged in every split: {listed}{more}.{why}",
        severity="warning",
        count=sum(row["images"] for row in rows),
        rows=rows,
    )


@dataclass(frozen=True)
class _Columns:
    """Of each image its split, its group, and a number that is equal where images must not be torn apart."""

    splits: Sequence[str | None]
    groups: Sequence[str | None]
    apart: Sequence[int]

    @classmethod
    def of(cls, inspection: Inspection) -> "_Columns":
        data = inspection.dataset
        splits, groups = (data.column(name) if data.has(name) else [] for name in ("split", "group"))
        return cls(splits, groups or [None] * len(data), inspection.apart.tolist())

    def row(self, name: str, rows: Sequence[int]) -> dict[str, Any] | None:
        """What keeps a class from being judged: the splits it is missing from, its images, and its groups."""
        apart, there = len({self.apart[row] for row in rows}), {self.splits[row] for row in rows if self.splits}
        missing = [split for split in SPLITS[1:] if split in self.splits and split not in there]
        if not missing and (self.splits or apart >= min(len(rows), len(SPLITS))):
            return None
        groups = sorted({str(self.groups[row]) for row in rows if self.groups[row] not in (None, "")})
        return {"class": name, "images": len(rows), "apart": apart, "missing in": missing, "groups": groups}


def _rows_of_each(dataset: Dataset) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {name: [] for name in dataset.classes}
    for row, labels in enumerate(dataset.label_lists):
        for label in labels:
            rows[label].append(row)
    return {name: own for name, own in rows.items() if own}


def _told(row: dict[str, Any]) -> str:
    groups = ", ".join(row["groups"][:MOST_NAMED]) + (", ..." if len(row["groups"]) > MOST_NAMED else "")
    held = ""
    if row["apart"] == 1 and row["images"] > 1:
        held = f", all of the group {groups}" if len(row["groups"]) == 1 else ", all of one group of duplicates"
    elif row["groups"]:
        held = f" of the groups {groups}"
    missing = f", none in {' and '.join(row['missing in'])}" if row["missing in"] else ""
    return f"{row['class']} ({counted(row['images'], 'image')}{held}{missing})"
