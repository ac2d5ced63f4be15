"""Last-layer Laplace: the head's weights are not one point but a distribution, as wide as the images leave it."""

import numpy as np
import torch

from linnaea.errors import UsageError
from linnaea.learning.job import Fitted, Job
from linnaea.learning.uncertainty.contract import UNCERTAINTIES, Fit, Method
from linnaea.learning.uncertainty.making import with_model
from linnaea.learning.uncertainty.posterior import Whole, curvature_of, draws
from linnaea.models.embedding import embed
from linnaea.models.ensembles.heads import Heads
from linnaea.models.familiarity.known import linear_head


def fit_laplace(fit: Fit, job: Job, members: int) -> Fitted:
    """The rung fitted once; its members are heads drawn from the posterior around the one that was fitted.

    The prior's precision is the one by which the training images are most probable.
    """
    fitted = fit(job)
    model = fitted.model
    if not model.linear or not model.has_linear_head:
        raise UsageError(
            f"the head of {model.kind} is not a linear layer, whose posterior laplace is about: choose a network, the "
            "frozen rung or hog."
        )
    features = embed(model, job.train.images) if fitted.features is None else fitted.features
    weight, bias = (torch.from_numpy(np.asarray(part)) for part in linear_head(model, features.shape[1]))
    scores = torch.from_numpy(features) @ weight.T + bias
    curvature = curvature_of(torch.from_numpy(features), scores, several=job.task.multilabel)
    weights = torch.cat([weight, bias[:, None]], dim=1).double()
    precision = curvature.best_precision(weights)
    generator = torch.Generator().manual_seed(job.options.seed)
    heads = draws(curvature, weights, precision, members, generator)
    made = Heads.of(model, heads[:, :, :-1], heads[:, :, -1], job.size, several=job.task.multilabel)
    how = "whole" if isinstance(curvature, Whole) else "taken as a Kronecker product"
    note = (
        f"The probabilities are the mean over {len(heads)} heads, drawn from the posterior of the last layer: its "
        f"curvature is {how}, the precision of the prior {precision:.3g}."
    )
    return with_model(fitted, made, note)


UNCERTAINTIES.register(
    "laplace",
    title="Last-layer Laplace",
    meaning="Heads drawn from the posterior of the last layer (Daxberger et al. 2021).",
    cost="seconds",
    order=5,
    amount=("the number of heads", 50, 2, 1000),
)(Method(fit_laplace, trained=False))
