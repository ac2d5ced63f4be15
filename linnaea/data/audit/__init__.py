"""The audit: checks that look at the data before any model does.

A check is a function from an `Inspection` to a finding, or None when there is nothing to say; it is registered under
the name of its finding.
"""

from linnaea.data.audit.contract import CHECKS, Check, Inspection
from linnaea.finding import Finding

__all__ = ["CHECKS", "Check", "Inspection", "audit"]


def audit(inspection: Inspection) -> list[Finding]:
    """Run every registered check; findings come in order of registration."""
    from linnaea.data.audit import (  # noqa: F401  members register themselves
        classes,
        files,
        labels,
        leaks,
        names,
        order,
        pictures,
        sequences,
        shortcuts,
        taxonomy,
        unknown,
    )

    found = (check(inspection) for _, check in CHECKS.items())
    return [finding for finding in found if finding is not None]
