"""The gaps between groups that are measured, one function each, registered in `GAPS`."""

from linnaea.evidence.fairness.gaps.contract import GAPS, Gap, Rate
from linnaea.evidence.fairness.gaps.facts import Facts

__all__ = ["GAPS", "Facts", "Gap", "Rate"]
