"""Aims: what a threshold can be chosen for.

An aim says how good each threshold is, from what each would do; it is registered in `AIMS`.
"""

from linnaea.evidence.aims.contract import AIMS, MARGIN, ROUNDING, Aim, Cuts
from linnaea.evidence.aims.goal import Goal

__all__ = ["AIMS", "MARGIN", "ROUNDING", "Aim", "Cuts", "Goal"]
