"""Sub-groups and fairness: the figures of each slice of the images, the gaps between them, and the worst one."""

from linnaea.evidence.fairness.gaps.contract import GAPS
from linnaea.evidence.fairness.groups import Groups, judge_groups
from linnaea.evidence.fairness.slicing import Slices, require_columns, slices_of

__all__ = ["GAPS", "Groups", "Slices", "judge_groups", "require_columns", "slices_of"]
