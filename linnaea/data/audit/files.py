"""Checks on the files: what was left out."""

from collections import Counter

from linnaea.data.audit.contract import CHECKS, Inspection
from linnaea.finding import Finding
from linnaea.runtime.words import counted


@CHECKS.register("left_out", title="Left out", order=40)
def left_out(inspection: Inspection) -> Finding | None:
    """Files that were left out, with the reason; hidden files alone are no reason to worry."""
    excluded = inspection.dataset.excluded
    if not excluded:
        return None
    reasons = Counter(entry.reason for entry in excluded)
    listed = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(4))
    return Finding(
        "left_out",
        f"{counted(len(excluded), 'file was', 'files were')} left out: {listed}.",
        severity="info" if set(reasons) <= {"hidden"} else "warning",
        count=len(excluded),
        rows=[{"path": entry.path, "label": entry.label, "reason": entry.reason} for entry in excluded],
    )
