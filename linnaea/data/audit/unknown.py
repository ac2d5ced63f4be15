"""Checks on what nobody knows about images that may show several labels: unknown is not absent."""

import numpy as np

from linnaea.data.audit.contract import CHECKS, SHOWN, Inspection
from linnaea.dataset import SPLITS
from linnaea.finding import Finding


@CHECKS.register("nothing_known")
def nothing_known(inspection: Inspection) -> Finding | None:
    """Images of which it is not known of any label whether they show it: they teach nothing and judge nothing."""
    dataset = inspection.dataset
    if not dataset.multilabel:
        return None
    rows = inspection.rows(np.flatnonzero(np.isnan(dataset.targets).all(axis=1)).tolist())
    if not rows:
        return None
    return Finding(
        "nothing_known",
        f"Of {len(rows)} of {len(dataset)} images it is not known of any label whether they show it: they play no part "
        "in learning or in any figure. Label them, or leave them out.",
        severity="warning",
        count=len(rows),
        rows=rows,
        images=[str(row["path"]) for row in rows[:SHOWN]],
    )


@CHECKS.register("one_sided_labels")
def one_sided_labels(inspection: Inspection) -> Finding | None:
    """Labels that no image of a split is known to show, or none not to show: nothing tells right from wrong there."""
    dataset = inspection.dataset
    if not dataset.multilabel:
        return None
    splits = np.array(dataset.column("split") if dataset.has("split") else ["all"] * len(dataset), dtype=object)
    rows = []
    for split in (name for name in (*SPLITS, "all") if (splits == name).any()):
        targets = dataset.targets[splits == split]
        there, absent = ((targets == value).sum(axis=0) for value in (1, 0))
        rows += [
            {"class": dataset.classes[k], "split": split, "there": int(there[k]), "absent": int(absent[k])}
            for k in np.flatnonzero((there == 0) | (absent == 0)).tolist()
        ]
    if not rows:
        return None
    first = rows[0]
    where = "all images" if first["split"] == "all" else f"the {first['split']} split"
    lacking = "show" if first["there"] == 0 else "lack"
    return Finding(
        "one_sided_labels",
        f"{len({row['class'] for row in rows})} labels are one-sided somewhere (first: no image of {where} is known to "
        f"{lacking} {first['class']!r}): there nothing can be learned or said of how well they are told apart.",
        severity="warning",
        count=len(rows),
        rows=rows,
    )
