"""The rung that trains nothing but a head: a pretrained backbone with logistic regression on its features."""

from linnaea.learning.embedding import embed, measure_embedding
from linnaea.learning.heads import choose, fit_path
from linnaea.learning.rungs.classical import install
from linnaea.learning.rungs.rung import RUNGS, Fitted, Job, Rung
from linnaea.models.network import Network

MOST_IMAGES = 50_000


def fit_frozen(job: Job) -> Fitted:
    """Embed every image once, then fit multinomial logistic regression along its regularisation path."""
    assert job.weights is not None, "steps_for gives this rung its weights"
    model: Network = job.weights.build(job.classes, job.size).to(job.options.device)
    train = job.subset(MOST_IMAGES)
    plan = measure_embedding(model, train.images)
    heads = fit_path(embed(model, train.images, plan), train.targets, job.classes)
    best = choose(heads, embed(model, job.val.images, plan), job.val.targets)
    install(best, model.classifier)
    notes = [f"The head's strength C = {best.strength} was chosen on val."]
    if len(train) < len(job.train):
        notes.append(f"It was fitted on {len(train)} of {len(job.train)} training images, drawn at random.")
    return Fitted(model, notes=notes, plan=plan.to_json())


RUNGS.register("frozen")(Rung(fit_frozen, pretrained=True))
