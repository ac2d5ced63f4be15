"""Drift: whether a window of images could come from where the reference came from."""

from linnaea.delivery.monitoring.drift.contract import DRIFT_TESTS, Comparison, Drift, DriftTest

__all__ = ["DRIFT_TESTS", "Comparison", "Drift", "DriftTest"]
