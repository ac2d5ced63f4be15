"""MC dropout: what a network drops while it trains is dropped in its answers too."""

import torch

from linnaea.errors import UsageError
from linnaea.learning.job import Fitted, Job
from linnaea.learning.recipe import TrainingRecipe
from linnaea.learning.rungs.steps import Step
from linnaea.learning.uncertainty.contract import UNCERTAINTIES, Fit, Method
from linnaea.learning.uncertainty.making import with_model
from linnaea.models.bodies import create_body, standard
from linnaea.models.ensembles.dropping import HOW, Dropping, dropping_in, masks_for
from linnaea.models.ensembles.heads import Heads
from linnaea.models.ensembles.masked import Masked, has_dropout
from linnaea.models.ensembles.mixture import Mixture
from linnaea.models.model import MODELS, Model

SIDE = 32  # of an image by which a registered model is looked at


def fit_mc_dropout(fit: Fit, job: Job, members: int) -> Fitted:
    """The rung fitted once; its members are the network under masks of its dropout, which are drawn once.

    Where only the last features are dropped, each member is a linear head of its own, and the body is looked through
    once.
    """
    fitted = fit(job)
    dropping = dropping_in(fitted.model, job.size)
    generator = torch.Generator().manual_seed(job.options.seed)
    made: Mixture
    if dropping.late and fitted.model.has_linear_head:
        made = _by_heads(fitted.model, dropping, members, job, generator)
    else:
        several = job.task.multilabel
        made = Masked.of(fitted.model, dropping, members, job.size, several=several, generator=generator)
    where = f"its last features, of which {dropping.share:.0%} are" if dropping.late else "what its layers make, it is"
    note = f"The probabilities are the mean over {members} masks of the network's dropout; of {where} dropped."
    return with_model(fitted, made, note)


@torch.no_grad()
def _by_heads(model: Model, dropping: Dropping, members: int, job: Job, generator: torch.Generator) -> Heads:
    layer = model.get_submodule("classifier")
    weight, bias = (model.logit_scale * layer.get_parameter(name).detach() for name in ("weight", "bias"))
    kept = masks_for((weight.shape[1],), dropping.share, members, generator).to(weight.device)
    weights = weight * kept[:, None] / (1 - dropping.share)
    return Heads.of(model, weights, bias.expand(members, -1).clone(), job.size, several=job.task.multilabel)


def require_dropout(step: Step, recipe: TrainingRecipe) -> None:
    """Raise UsageError for a step whose network drops nothing while it trains."""
    network = step.network if step.weights is None else step.weights.network
    if recipe.dropout or any("drop" in name for name, value in step.arguments.items() if value):
        return
    if network is None or not _drops(network):
        raise UsageError(f"{network or step.name} drops nothing while it trains, so MC dropout has no members: {HOW}.")


def _drops(network: str) -> bool:
    if network not in MODELS:
        with torch.device("meta"):
            return has_dropout(create_body(network, standard(network).size, {}))
    build = MODELS[network]
    return has_dropout(build(classes=2, size=SIDE))


UNCERTAINTIES.register(
    "mc_dropout",
    title="MC dropout",
    meaning="Dropout that stays in the answers, by masks that are drawn once (Gal and Ghahramani 2016).",
    cost="minutes",
    order=4,
    amount=("the number of masks", 20, 2, 200),
)(Method(fit_mc_dropout, require=require_dropout))
