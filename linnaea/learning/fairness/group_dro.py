"""Distributionally robust optimisation over groups: the worst group counts most."""

import numpy as np

from linnaea.arrays import Float64
from linnaea.learning.fairness.contract import FAIRNESS, Fair


def group_dro(weights: Float64, losses: Float64, step: float) -> Float64:
    """Raise the weights (G,) of groups by their losses (G,), exponentially (Sagawa et al. 2020, algorithm 1)."""
    raised = np.log(np.maximum(weights, 1e-12)) + step * losses
    raised = np.exp(raised - raised.max())
    return np.asarray(raised / raised.sum())


FAIRNESS.register(
    "group_dro",
    title="Group DRO",
    meaning="Weigh groups by their loss while learning, so that the worst one counts most (Sagawa et al. 2020).",
    order=20,
    amount=("the step by which weights follow losses", 0.05, 0.0001, 10),
)(Fair("loss", group_dro, "It was learnt for the group with the highest loss, not for the mean over all images."))
