"""The audit: checks that look at the data before any model does.

A check is a function from an `Inspection` to a finding, or None when there is nothing to say; it is registered under
the name of its finding.
"""

from collections.abc import Sequence

from linnaea.data.audit.contract import CHECKS, Check, Inspection
from linnaea.finding import Finding

__all__ = ["CHECKS", "Check", "Inspection", "audit", "is_leak", "leaks_first"]


def leaks_first(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that make figures too good before all others, each in its order."""
    return sorted(findings, key=lambda finding: not is_leak(finding))


def is_leak(finding: Finding) -> bool:
    """Whether a finding makes figures too good, as its check says that it does."""
    known = finding.name in CHECKS and CHECKS.about(finding.name).capabilities.get("leak")
    return bool(known) and finding.severity != "info"


def audit(inspection: Inspection) -> list[Finding]:
    """Run every registered check; leaks come first, the rest in the order of the checks."""
    found = (check(inspection) for _, check in CHECKS.items())
    return leaks_first([finding for finding in found if finding is not None])
