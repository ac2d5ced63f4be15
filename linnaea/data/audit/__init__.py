"""The audit: checks that look at the data before any model does.

A check is a function from an `Inspection` to a finding, or None when there is nothing to say; it is registered under
the name of its finding.
"""

from collections.abc import Sequence

from linnaea.data.audit.contract import CHECKS, Check, Inspection
from linnaea.finding import Finding

__all__ = ["CHECKS", "LEAKS", "Check", "Inspection", "audit", "leaks_first"]


LEAKS = ("duplicates_across_splits", "groups_across_splits", "time_across_splits")


def leaks_first(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that make figures too good before all others, each in its order."""
    return sorted(findings, key=lambda finding: finding.name not in LEAKS or finding.severity == "info")


def audit(inspection: Inspection) -> list[Finding]:
    """Run every registered check; leaks come first, the rest in order of registration."""
    from linnaea.data.audit import (  # noqa: F401  members register themselves
        classes,
        files,
        judged,
        labels,
        leaks,
        levels,
        masks,
        names,
        order,
        pictures,
        sequences,
        shortcuts,
        taxonomy,
        unknown,
    )

    found = (check(inspection) for _, check in CHECKS.items())
    return leaks_first([finding for finding in found if finding is not None])
