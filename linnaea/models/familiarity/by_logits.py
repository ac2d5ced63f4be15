"""Scores that look at the logits alone: how much the model has to say for its answer."""

import torch
from torch import Tensor
from torch.nn import functional

from linnaea.errors import UsageError
from linnaea.models.familiarity.contract import FAMILIARITIES, Familiarity
from linnaea.models.familiarity.known import Known

HOTTEST = 1e6


@FAMILIARITIES.register(
    "max_softmax",
    title="Maximum softmax probability",
    meaning="One less the highest softmax probability (Hendrycks and Gimpel 2017).",
    several=False,
)
class MaxSoftmax(Familiarity):
    """One less the highest softmax probability (Hendrycks and Gimpel 2017); not for several labels."""

    kind = "max_softmax"

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Logits (N, K) to scores (N,) in [0, 1)."""
        return _beside_the_highest(logits)

    @classmethod
    def fit(cls, known: Known) -> "MaxSoftmax":
        """Nothing is fitted."""
        return cls()


@FAMILIARITIES.register(
    "tempered_softmax",
    title="Tempered softmax",
    meaning="One less the highest softmax probability at a temperature of 1,000, as in ODIN (Liang et al. 2018).",
    several=False,
)
class TemperedSoftmax(Familiarity):
    """One less the highest softmax probability at a temperature of 1,000; not for several labels.

    That is ODIN (Liang et al. 2018) without its change to the pixels, which takes a gradient through the network for
    every answer and so has no place in an exported file.
    """

    kind = "tempered_softmax"

    def __init__(self, temperature: float = 1000.0) -> None:
        if not 0 < temperature <= HOTTEST:
            raise UsageError(f"temperature is {temperature}; expected a number above 0, up to {HOTTEST:,.0f}.")
        super().__init__(temperature=temperature)
        self.temperature = temperature

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Logits (N, K) to scores (N,) in [0, 1)."""
        return _beside_the_highest(logits / self.temperature)

    @classmethod
    def fit(cls, known: Known) -> "TemperedSoftmax":
        """Nothing is fitted: the temperature is that of the paper."""
        return cls()


@FAMILIARITIES.register(
    "max_logit",
    title="Maximum logit",
    meaning="The highest raw score, with its sign changed (Hendrycks et al. 2022).",
    several=True,
)
class MaxLogit(Familiarity):
    """The highest logit, with its sign changed (Hendrycks et al. 2022)."""

    kind = "max_logit"

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Logits (N, K) to scores (N,)."""
        return -logits.amax(dim=1)

    @classmethod
    def fit(cls, known: Known) -> "MaxLogit":
        """Nothing is fitted."""
        return cls()


@FAMILIARITIES.register(
    "energy",
    title="Energy",
    meaning="The energy of the raw scores (Liu et al. 2020); with several labels the joint energy (Wang et al. 2021).",
    several=True,
)
class Energy(Familiarity):
    """The energy of the logits (Liu et al. 2020); for several labels the joint energy (Wang et al. 2021)."""

    kind = "energy"

    def __init__(self, several: bool = False) -> None:
        super().__init__(several=several)
        self.several = several

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Logits (N, K) to scores (N,)."""
        return -free_energy(logits, self.several)

    @classmethod
    def fit(cls, known: Known) -> "Energy":
        """Nothing is fitted."""
        return cls(known.several)


def free_energy(logits: Tensor, several: bool) -> Tensor:
    """The logarithm of the sum of exponentials of logits (N, K); of several labels the sum of softplus; (N,)."""
    return functional.softplus(logits).sum(dim=1) if several else torch.logsumexp(logits, dim=1)


def _beside_the_highest(logits: Tensor) -> Tensor:
    """The probabilities of all classes but the likeliest, summed, so that little doubt is not rounded to none (N,)."""
    return logits.softmax(dim=1).sort(dim=1, descending=True).values[:, 1:].sum(dim=1)
