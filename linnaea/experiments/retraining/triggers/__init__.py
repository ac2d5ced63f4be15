"""Triggers: what a run may be trained again for."""

from linnaea.experiments.retraining.triggers.contract import TRIGGERS, Called, Signs, Trigger, called, read_triggers

__all__ = ["TRIGGERS", "Called", "Signs", "Trigger", "called", "read_triggers"]
