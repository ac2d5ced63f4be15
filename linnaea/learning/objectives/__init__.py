"""Objectives: what a training makes small, from a network and a batch.

One is registered in `OBJECTIVES` with what it can be used with, and made for each training by its name.
"""

from linnaea.learning.objectives.contract import OBJECTIVES, Accompanied, Objective, Setting

__all__ = ["OBJECTIVES", "Accompanied", "Objective", "Setting"]
