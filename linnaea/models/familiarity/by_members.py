"""Scores that look at the members of a model: what they disagree about, or all that they leave open."""

from typing import Self

from torch import Tensor

from linnaea.models.familiarity.contract import FAMILIARITIES, Familiarity
from linnaea.models.familiarity.known import Known


class OfMembers(Familiarity):
    """One of the parts of uncertainty (N, 3): total, aleatoric, epistemic; nothing is fitted."""

    of_members = True
    part: int

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Parts of uncertainty (N, 3) and logits (N, K) to scores (N,)."""
        return features[:, self.part]

    @classmethod
    def fit(cls, known: Known) -> Self:
        """Nothing is fitted."""
        return cls()


@FAMILIARITIES.register(
    "epistemic",
    title="Epistemic uncertainty",
    meaning="What the members of an ensemble disagree about, in nats (Depeweg et al. 2018).",
    several=True,
    members=True,
)
class Epistemic(OfMembers):
    """The epistemic part of uncertainty, in nats: the mutual information of answer and member."""

    kind, part = "epistemic", 2


@FAMILIARITIES.register(
    "total_uncertainty",
    title="Total uncertainty",
    meaning="The entropy of the mean of an ensemble's members, in nats (Lakshminarayanan et al. 2017).",
    several=True,
    members=True,
)
class TotalUncertainty(OfMembers):
    """The entropy of the mean of the members' probabilities, in nats, before calibration."""

    kind, part = "total_uncertainty", 0
