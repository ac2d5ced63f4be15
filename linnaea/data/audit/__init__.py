"""The audit: checks that look at the data before any model does.

A check is a function from an `Inspection` to a finding, or None when there is nothing to say; it is registered under
the name of its finding.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from linnaea.dataset import Dataset
from linnaea.finding import Finding
from linnaea.registry import Registry


@dataclass(frozen=True)
class Inspection:
    """What a check sees: the readable images of `dataset`, its splits filled, and `duplicates`, a group per row."""

    dataset: Dataset
    duplicates: npt.NDArray[np.int64]


Check = Callable[[Inspection], Finding | None]
CHECKS: Registry[Check] = Registry("check")


def audit(inspection: Inspection) -> list[Finding]:
    """Run every registered check; findings come in order of registration."""
    from linnaea.data.audit import classes, files, leaks  # noqa: F401  members register themselves

    found = (check(inspection) for _, check in CHECKS.items())
    return [finding for finding in found if finding is not None]
