"""Objectives: what a training makes small, from a network and a batch."""

from linnaea.learning.objectives.contract import OBJECTIVES, Objective

__all__ = ["OBJECTIVES", "Objective"]
