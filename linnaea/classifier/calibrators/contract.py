"""The contract of a calibrator."""

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
from torch import Tensor

from linnaea.arrays import Floats, Targets
from linnaea.errors import DataError, UsageError
from linnaea.models.part import Part
from linnaea.registry import Registry

LOWEST, HIGHEST = 0.001, 1000.0


class Calibrator(Part, ABC):
    """Raw scores (N, K) to calibrated logits (N, K), whose softmax or, of several labels, sigmoid is a probability.

    What was fitted lies in arguments or buffers. Only operations that export are used.
    """

    @abstractmethod
    def forward(self, raw: Tensor) -> Tensor:
        """Raw scores (N, K) to calibrated logits (N, K)."""

    @classmethod
    @abstractmethod
    def fit(cls, raw: Floats, targets: Targets) -> Self:
        """The calibrator fitted to raw scores (N, K) and class indices (N,) or, of several labels, 0, 1, NaN (N, K)."""

    @property
    def numbers(self) -> int:
        """How many numbers were fitted, at the most."""
        return sum(buffer.numel() for buffer in self.buffers()) + int("temperature" in self.arguments)


CALIBRATORS: Registry[type[Calibrator]] = Registry(
    "calibrator",
    "linnaea.classifier.calibrators",
    title="Calibrators",
    use="Chosen on val, or with `linnaea train --calibrator`; loaded with the bundle.",
)
"""Capabilities: `one` and `several` say whether it is for one label per image and for several; `candidate=False` that
it is used only where it is asked for; `square`, that it fits a number for each pair of classes. The order is that of
simplicity: of those that do equally well the first is chosen."""


def calibrators_for(*, several: bool) -> list[str]:
    """The names of the calibrators for one label per image or for several, the simplest first."""
    labels = "several" if several else "one"
    return [name for name in CALIBRATORS if CALIBRATORS.about(name).capabilities.get(labels)]


def require_calibrator(name: str, *, several: bool) -> None:
    """Raise UsageError unless it is auto or a calibrator for one label per image, or for several."""
    if name == "auto":
        return
    CALIBRATORS.about(name)
    fitting = calibrators_for(several=several)
    if name not in fitting:
        labels = "several labels" if several else "one label"
        raise UsageError(
            f"the calibrator {name} is not for {labels} per image: expected auto or one of {', '.join(fitting)}."
        )


def require_temperature(temperature: float) -> None:
    """Raise UsageError for a temperature that no scores are divided by."""
    if not LOWEST <= temperature <= HIGHEST:
        raise UsageError(f"temperature is {temperature}; expected a number from {LOWEST} to {HIGHEST:g}.")


def require_scores(raw: Floats, targets: Targets) -> None:
    """Raise DataError unless there are scores, all of them numbers, and a target for each image."""
    if raw.ndim != 2 or not len(raw) or len(raw) != len(targets):
        raise DataError(
            f"there are scores of the shape {raw.shape} for {len(targets)} targets: a calibrator is fitted to the "
            "scores (N, K) of one image or more, each with its target."
        )
    unsound = int((~np.isfinite(raw).all(axis=1)).sum())
    if unsound:
        raise DataError(
            f"the scores of {unsound} of {len(raw)} images are not numbers: they cannot be calibrated. Train with a "
            "lower learning rate, or choose another model."
        )
