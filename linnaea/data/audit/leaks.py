"""Checks on images that appear more than once."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from linnaea.data.audit.contract import CHECKS, Inspection
from linnaea.dataset import SPLITS
from linnaea.finding import Finding
from linnaea.runtime.words import counted

SMALL = 32  # pixels: too few to tell two things of one kind from one thing twice


@CHECKS.register("duplicates", title="Duplicates", order=80)
def duplicates(inspection: Inspection) -> Finding | None:
    """Images that show the same image as another image."""
    groups = _duplicate_groups(inspection)
    if not groups:
        return None
    extra = sum(len(rows) - 1 for rows in groups)
    return Finding(
        "duplicates",
        f"{counted(extra, 'image repeats', 'images repeat')} another image, exactly or nearly, in "
        f"{counted(len(groups), 'group')}; each group stays in one split unless the splits were given."
        f"{_doubt(inspection, groups)}",
        count=extra,
        rows=_table(inspection, groups),
        images=_pictures(inspection, groups),
    )


@CHECKS.register("duplicates_across_splits", title="Duplicates across splits", order=90, leak=True)
def duplicates_across_splits(inspection: Inspection) -> Finding | None:
    """The same image in two splits, which makes the figures too optimistic."""
    return _straddling(inspection, "split")


@CHECKS.register("duplicates_across_classes", title="Duplicates across classes", order=100)
def duplicates_across_classes(inspection: Inspection) -> Finding | None:
    """The same image, or nearly, under two labels; if it is the same, at least one of them is wrong."""
    return _straddling(inspection, "label")


@CHECKS.register("groups_across_splits", title="Groups across splits", order=110, leak=True)
def groups_across_splits(inspection: Inspection) -> Finding | None:
    """The same `group` (patient, board, site) in two splits."""
    if not inspection.dataset.has("group") or not inspection.dataset.has("split"):
        return None
    splits: dict[str, set[str]] = defaultdict(set)
    groups, parts = inspection.dataset.column("group"), [str(part) for part in inspection.dataset.column("split")]
    for group, split in zip(groups, parts, strict=True):
        if group is not None:
            splits[group].add(split)
    torn = {group for group, found in splits.items() if len(found) > 1}
    if not torn:
        return None
    return Finding(
        "groups_across_splits",
        f"{counted(len(torn), 'group is', 'groups are')} in more than one of the given splits: "
        f"{_of_each(parts, [row for row, group in enumerate(groups) if group in torn])}. Figures will be too "
        "optimistic.",
        severity="warning",
        count=len(torn),
        rows=[{"group": group, "splits": ", ".join(sorted(splits[group]))} for group in sorted(torn)],
    )


def _doubt(inspection: Inspection, groups: Sequence[Sequence[int]]) -> str:
    """That images of few pixels may be found the same without being so, where some of these are."""
    facts = inspection.facts or ()
    small = any(min(facts[row].width, facts[row].height) <= SMALL for rows in groups for row in rows if facts)
    return f" Images of {SMALL} pixels or fewer may only look alike." if small else ""


def _duplicate_groups(inspection: Inspection) -> list[list[int]]:
    members: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(inspection.duplicates.tolist()):
        members[group].append(row)
    return [rows for rows in members.values() if len(rows) > 1]


def _straddling(inspection: Inspection, column: str) -> Finding | None:
    if not inspection.dataset.has(column):
        return None
    values = [str(value) for value in inspection.dataset.column(column)]
    groups = [rows for rows in _duplicate_groups(inspection) if len({values[row] for row in rows}) > 1]
    if not groups:
        return None
    return Finding(
        f"duplicates_across_{'splits' if column == 'split' else 'classes'}",
        _trouble(values, groups)
        if column == "split"
        else f"{counted(len(groups), 'image appears', 'images appear')} again, exactly or nearly, under another "
        "label: check.",
        severity="warning",
        count=len(groups),
        rows=_table(inspection, groups),
        images=_pictures(inspection, groups),
    )


def _trouble(splits: Sequence[str], groups: Sequence[Sequence[int]]) -> str:
    """How much of each split lies in another one too."""
    return (
        f"{counted(len(groups), 'image is', 'images are')} in more than one of the given splits, exactly or nearly: "
        f"{_of_each(splits, [row for rows in groups for row in rows])}. Figures will be too optimistic."
    )


def _of_each(splits: Sequence[str], rows: Sequence[int]) -> str:
    """How many images of each split, and what share of it, these rows are."""
    sizes, touched = Counter(splits), Counter(splits[row] for row in rows)
    named = [name for name in (*SPLITS, *sorted(set(sizes) - set(SPLITS))) if touched[name]]
    return ", ".join(
        f"{touched[name]:,} of {counted(sizes[name], 'image')} in {name} ({touched[name] / sizes[name]:.1%})"
        for name in named
    )


def _table(inspection: Inspection, groups: Sequence[Sequence[int]]) -> list[dict[str, object]]:
    members = [(number, row) for number, rows in enumerate(groups, 1) for row in rows]
    return inspection.rows([row for _, row in members], group=[number for number, _ in members])


def _pictures(inspection: Inspection, groups: Sequence[Sequence[int]]) -> list[str]:
    ids = inspection.dataset.ids
    return [ids[row] for rows in groups[:6] for row in rows[:2]]
