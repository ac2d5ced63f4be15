"""Prediction sets that hold the truth as often as was asked: how their thresholds are fitted."""

from linnaea.evidence.conformal.contract import SET_METHODS, SetMaterial, require_sets, usual_sets

__all__ = ["SET_METHODS", "SetMaterial", "require_sets", "usual_sets"]
