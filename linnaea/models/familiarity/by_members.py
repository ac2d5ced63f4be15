"""Scores that look at the members of a model: what they disagree about, or all that they leave open."""

from torch import Tensor

from linnaea.models.familiarity.contract import FAMILIARITIES, Familiarity
from linnaea.models.familiarity.known import Known


@FAMILIARITIES.register(
    "epistemic",
    title="Epistemic uncertainty",
    meaning="What the members of an ensemble disagree about, in nats (Depeweg et al. 2018).",
    several=True,
    members=True,
)
class Epistemic(Familiarity):
    """The epistemic part of uncertainty, in nats: the mutual information of answer and member."""

    kind = "epistemic"
    of_members = True

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Parts of uncertainty (N, 3) and logits (N, K) to scores (N,)."""
        return features[:, 2]

    @classmethod
    def fit(cls, known: Known) -> "Epistemic":
        """Nothing is fitted."""
        return cls()


@FAMILIARITIES.register(
    "total_uncertainty",
    title="Total uncertainty",
    meaning="The entropy of the mean of an ensemble's members, in nats (Lakshminarayanan et al. 2017).",
    several=True,
    members=True,
)
class TotalUncertainty(Familiarity):
    """The entropy of the mean of the members' probabilities, in nats, before calibration."""

    kind = "total_uncertainty"
    of_members = True

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Parts of uncertainty (N, 3) and logits (N, K) to scores (N,)."""
        return features[:, 0]

    @classmethod
    def fit(cls, known: Known) -> "TotalUncertainty":
        """Nothing is fitted."""
        return cls()
