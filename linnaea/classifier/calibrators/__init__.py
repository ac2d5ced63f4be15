"""Calibrators: from raw scores to calibrated logits, fitted on images that the scorer was not trained on."""

from linnaea.classifier.calibrators.contract import (
    CALIBRATORS,
    Calibrator,
    calibrators_for,
    require_calibrator,
    require_scores,
)

__all__ = ["CALIBRATORS", "Calibrator", "calibrators_for", "require_calibrator", "require_scores"]
