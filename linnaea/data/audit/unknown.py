"""Checks on what nobody knows about images that may show several labels: unknown is not absent."""

from typing import Any

import numpy as np

from linnaea.data.audit.contract import CHECKS, SHOWN, Inspection
from linnaea.dataset import SPLITS
from linnaea.finding import Finding
from linnaea.runtime.words import counted

MOST_NAMED = 5


@CHECKS.register("nothing_known", title="Nothing known", order=290)
def nothing_known(inspection: Inspection) -> Finding | None:
    """Images for which nothing is known about any label: they teach nothing and judge nothing."""
    dataset = inspection.dataset
    if not dataset.multilabel:
        return None
    rows = inspection.rows(np.flatnonzero(np.isnan(dataset.targets).all(axis=1)).tolist())
    if not rows:
        return None
    return Finding(
        "nothing_known",
        f"For {len(rows)} of {len(dataset)} images nothing is known about any label: they play no part in training or "
        "in any figure. Label them, or leave them out.",
        severity="warning",
        count=len(rows),
        rows=rows,
        images=[str(row["path"]) for row in rows[:SHOWN]],
    )


@CHECKS.register("never_absent", title="Never known to be absent", order=300)
def never_absent(inspection: Inspection) -> Finding | None:
    """Labels that no image of a split is known to lack: nothing can be learned or measured about them there."""
    dataset = inspection.dataset
    if not dataset.multilabel:
        return None
    splits = np.array(dataset.column("split") if dataset.has("split") else ["all"] * len(dataset), dtype=object)
    rows: list[dict[str, Any]] = []
    for split in (name for name in (*SPLITS, "all") if (splits == name).any()):
        targets = dataset.targets[splits == split]
        there, absent = ((targets == value).sum(axis=0) for value in (1, 0))
        lacking = np.flatnonzero((there > 0) & (absent == 0)).tolist()
        rows += [{"class": dataset.classes[k], "split": split, "images": int(there[k])} for k in lacking]
    if not rows:
        return None
    labels = list(dict.fromkeys(row["class"] for row in rows))
    named = ", ".join(labels[:MOST_NAMED]) + (", ..." if len(labels) > MOST_NAMED else "")
    return Finding(
        "never_absent",
        f"For {counted(len(labels), 'label')} no image of a split is known to lack it ({named}): nothing can be "
        "learned or measured about it there. Where a label does not apply, say so: unknown is not absent.",
        severity="warning",
        count=sum(row["images"] for row in rows),
        rows=rows,
    )
