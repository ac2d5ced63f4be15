"""One temperature for all classes."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from torch import Tensor

from linnaea.arrays import Floats, Integers, Targets
from linnaea.classifier.calibrators.contract import CALIBRATORS, Calibrator, require_scores, require_temperature

FITTED = (0.05, 20.0)


@CALIBRATORS.register(
    "temperature",
    title="Temperature",
    meaning="Raw scores divided by one number, so that confidence is right (Guo et al. 2017).",
    order=10,
    one=True,
    several=True,
)
class Temperature(Calibrator):
    """Raw scores divided by one number (Guo et al. 2017): order and answers stay, confidence is put right."""

    kind = "temperature"

    def __init__(self, temperature: float = 1.0) -> None:
        require_temperature(temperature)
        super().__init__(temperature=temperature)
        self.temperature = temperature

    def forward(self, raw: Tensor) -> Tensor:
        """Raw scores (N, K) to calibrated logits (N, K)."""
        return raw / self.temperature

    @classmethod
    def fit(cls, raw: Floats, targets: Targets) -> "Temperature":
        """The temperature in [0.05, 20] of the lowest cross-entropy over known targets, with doubt in each of them.

        As if one more image had been wrong, each truth counts a little less than one (Platt 1999): without that, scores
        that are right on every image would be driven to certainty.
        """
        require_scores(raw, targets)
        loss = _of_labels(raw, targets) if targets.ndim == 2 else _of_classes(raw, targets)
        low, high = np.log(FITTED)
        found = minimize_scalar(lambda power: loss(float(np.exp(power))), bounds=(low, high), method="bounded")
        return cls(float(np.exp(found.x)))


def _of_classes(raw: Floats, targets: Integers) -> Callable[[float], float]:
    doubt = 1 / (len(targets) + 2)

    def loss(temperature: float) -> float:
        scaled = log_softmax(raw / temperature, axis=1)
        truth = np.take_along_axis(scaled, targets[:, None], axis=1)[:, 0]
        others = (scaled.sum(axis=1) - truth) / (scaled.shape[1] - 1)
        return -float(((1 - doubt) * truth + doubt * others).mean())

    return loss


def _of_labels(raw: Floats, targets: Floats) -> Callable[[float], float]:
    known = ~np.isnan(targets)
    doubt = 1 / (known.any(axis=1).sum() + 2)
    wanted, given = np.where(targets[known] == 1, 1 - doubt, doubt), raw[known]

    def loss(temperature: float) -> float:
        scaled = given / temperature
        return float((np.logaddexp(0, scaled) - wanted * scaled).mean())

    return loss
