"""A curve for each class: from the log-odds that one temperature leaves to calibrated ones."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Self

import numpy as np
import torch
from scipy.special import log_expit, log_softmax
from torch import Tensor
from torch.nn.functional import logsigmoid

from linnaea.arrays import Float64, Floats, Targets
from linnaea.classifier.calibrators.contract import Calibrator, require_temperature
from linnaea.classifier.calibrators.temperature import Temperature

FEW = 5  # with fewer images of a class, or of others, its curve is that of all classes together
SUREST = 1e-6  # of the others' probability together: what float32 can still tell from none
Curve = Mapping[str, Floats]


class ByClass(Calibrator):
    """Each class against the rest, by a curve of its own; probabilities are then made to sum to one.

    Of several labels each is by itself, and `several` is true. Log-odds are those at one `temperature` for all.
    """

    def __init__(self, classes: int, temperature: float = 1.0, several: bool = False) -> None:
        require_temperature(temperature)
        super().__init__(classes=classes, temperature=temperature, several=several)
        self.temperature, self.several = temperature, several

    @abstractmethod
    def curved(self, odds: Tensor) -> Tensor:
        """Log-odds (N, K) to calibrated log-odds (N, K)."""

    @classmethod
    @abstractmethod
    def curve(cls, odds: Floats, truth: Floats) -> Curve:
        """What is fitted to log-odds (n,) and truths (n,) of 0 and 1: the row of each buffer."""

    def forward(self, raw: Tensor) -> Tensor:
        """Raw scores (N, K) to calibrated logits (N, K)."""
        scaled = raw / self.temperature
        if self.several:
            return self.curved(scaled)
        likely = scaled.log_softmax(dim=1).clamp(max=-SUREST)
        return logsigmoid(self.curved(likely - (1 - likely.exp()).log()))

    @classmethod
    def fit(cls, raw: Floats, targets: Targets) -> Self:
        """A curve for each class with 5 images of its own and 5 others; one for all other classes together."""
        several, classes = targets.ndim == 2, raw.shape[1]
        temperature = Temperature.fit(raw, targets).temperature
        scaled = np.asarray(raw / temperature, dtype=np.float64)
        odds = scaled if several else log_odds(scaled)
        truths = np.asarray(targets, dtype=np.float64) if several else np.eye(classes)[targets]
        known = ~np.isnan(truths)
        positives, negatives = (truths == 1).sum(axis=0), (truths == 0).sum(axis=0)
        own = (positives >= FEW) & (negatives >= FEW)
        common = cls.curve(odds[known], truths[known]) if not own.all() else {}
        curves = [cls.curve(odds[known[:, k], k], truths[known[:, k], k]) if own[k] else common for k in range(classes)]
        stacked = {name: np.stack([curve[name] for curve in curves]) for name in curves[0]}
        return cls(classes, temperature, several).filled(**stacked)


def log_odds(scaled: Floats) -> Floats:
    """The log-odds (N, K) of each class against all others, of logits (N, K)."""
    likely = np.minimum(log_softmax(scaled, axis=1), -SUREST)
    return np.asarray(likely - np.log(1 - np.exp(likely)))


KNOTS = 32
WIDEST = 14.0  # log-odds beyond which a curve has no knots


class Piecewise(ByClass):
    """A curve of straight pieces for each class: a `base`, and rises over pieces that start somewhere, of a width."""

    base: Tensor
    start: Tensor
    width: Tensor
    rise: Tensor

    def __init__(self, classes: int, temperature: float = 1.0, several: bool = False) -> None:
        super().__init__(classes, temperature, several)
        self.register_buffer("base", torch.zeros(classes))
        for name, value in {"start": 0.0, "width": 1.0, "rise": 0.0}.items():
            self.register_buffer(name, torch.full((classes, KNOTS - 1), value))

    def curved(self, odds: Tensor) -> Tensor:
        """Log-odds (N, K) to calibrated log-odds (N, K)."""
        passed = ((odds[:, :, None] - self.start) / self.width).clamp(0, 1)
        return self.base + (passed * self.rise).sum(dim=2)


def pieces(places: Floats, values: Floats, width: float | None = None) -> Curve:
    """The buffers of a curve through `values` at rising `places`, both (n,), at most 32; flat beyond the ends.

    Between two places it is straight or, of a `width`, a step halfway between them.
    """
    start, wide, rise = np.zeros(KNOTS - 1), np.ones(KNOTS - 1), np.zeros(KNOTS - 1)
    count = len(places) - 1
    gaps = np.diff(places)
    start[:count] = places[:-1] if width is None else places[:-1] + gaps / 2 - width / 2
    wide[:count] = gaps if width is None else width
    rise[:count] = np.diff(values)
    return {"base": np.asarray(values[0]), "start": start, "width": wide, "rise": rise}


def softened(sums: Floats, counts: Floats, odds: Floats) -> Float64:
    """The log-odds of shares `sums` of `counts` at log-odds, all (m,): as if one more image had been as stated."""
    stated = np.exp(log_expit(odds))
    share = (sums + stated) / (counts + 1)
    share = np.clip(share, SUREST, 1 - SUREST)
    return np.asarray(np.log(share) - np.log1p(-share))
