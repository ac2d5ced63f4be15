"""Schedules by name: how the learning rate changes once it has risen."""

from linnaea.learning.schedules.contract import SCHEDULES, Moment, Shape, usual_warm_up

__all__ = ["SCHEDULES", "Moment", "Shape", "usual_warm_up"]
