"""Raw scores as they are."""

from torch import Tensor

from linnaea.arrays import Floats, Targets
from linnaea.classifier.calibrators.contract import CALIBRATORS, Calibrator, require_scores


@CALIBRATORS.register(
    "none",
    title="None",
    meaning="Raw scores as they are, to see what calibration does.",
    order=0,
    one=True,
    several=True,
    candidate=False,
)
class Uncalibrated(Calibrator):
    """Raw scores as they are."""

    kind = "none"

    def forward(self, raw: Tensor) -> Tensor:
        """The raw scores (N, K) themselves."""
        return raw

    @classmethod
    def fit(cls, raw: Floats, targets: Targets) -> "Uncalibrated":
        """Nothing is fitted."""
        require_scores(raw, targets)
        return cls()
