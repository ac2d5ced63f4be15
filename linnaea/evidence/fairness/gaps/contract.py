"""The contract of a gap between groups."""

from collections.abc import Callable
from dataclasses import dataclass

from linnaea.arrays import Flags, Floats
from linnaea.evidence.fairness.gaps.facts import Facts
from linnaea.registry import Registry


@dataclass(frozen=True, eq=False)
class Rate:
    """A mean over images that is compared between groups: of `values` (n,) over the images that are `used` (n,).

    `of` is the class it is about, empty where it is about all; `what` says in words what it is the mean of.
    """

    values: Floats
    used: Flags
    of: str = ""
    what: str = ""


Gap = Callable[[Facts], list[Rate]]
"""Gives the rates of which each is compared between groups; the gap is the largest difference of any of them.

Capabilities: `unequal`, what a difference may come from besides the classifier, in words; `tasks`, those it is for if
not for all. A gap of no rates is not defined for these images.
"""

GAPS: Registry[Gap] = Registry(
    "gap",
    "linnaea.evidence.fairness.gaps",
    title="Gaps between groups",
    use="Measured by `linnaea evaluate --by`: the largest difference between any two groups.",
)
