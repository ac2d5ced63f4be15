"""The rung that trains nothing but a head: a pretrained backbone with logistic regression on its features."""

from linnaea.arrays import Float32, Targets
from linnaea.learning.heads import LinearHead, choose, fit_path
from linnaea.learning.ridge import fit_ridge_path, with_scale
from linnaea.learning.rungs.classical import install
from linnaea.learning.rungs.rung import RUNGS, Features, Fitted, Job, Rung
from linnaea.models.embedding import measure_embedding
from linnaea.models.feature_cache import embed_once, embed_until
from linnaea.models.network import Network

MOST_IMAGES = 50_000
MOST_PRODUCTS = 10**10  # of an image, a feature and a class: some minutes of logistic regression on two cores


def fit_frozen(job: Job) -> Fitted:
    """Embed every image once, unless it was before, then fit logistic regression along its regularisation path.

    It is multinomial or, for several labels, one regression per label.
    """
    assert job.weights is not None, "steps_for gives this rung its weights"
    model: Network = job.weights.build(job.classes, job.size).to(job.options.device)
    if job.weights.source not in job.features:
        job.features[job.weights.source] = _features(job, model)
    known = job.features[job.weights.source]
    balance = job.balance
    features, targets, weights = balance.for_head(known.train, known.targets, job.options.seed)
    heads, remarks = _path(features, targets, weights, job, known.val)
    best = choose(heads, known.val, job.val.targets, balance.on_val(job.val.targets))
    install(best, model.classifier)
    notes = [f"The head's strength C = {best.strength:.3g} was chosen on val.", *remarks, *balance.notes]
    notes += known.plan.notes
    if len(known.train) < len(job.train):
        notes.append(f"It was fitted on {len(known.train)} of {len(job.train)} training images, drawn at random.")
    return Fitted(
        model,
        notes=notes,
        plan=known.plan.to_json(),
        features=known.train if len(known.train) == len(job.train) else None,
        val_features=known.val,
        known=known.known,
    )


def _path(
    features: Float32, targets: Targets, weights: Float32 | None, job: Job, val: Float32
) -> tuple[list[LinearHead], list[str]]:
    """Logistic regressions or, of very many numbers and one label per image, ridge regressions, which is noted."""
    if targets.ndim == 2 or features.size * job.classes <= MOST_PRODUCTS:
        loss = job.balance.head_loss(job.task.losses)
        return fit_path(features, targets, job.classes, loss=loss, weights=weights, deadline=job.deadline), []
    note = (
        f"{len(features):,} images of {job.classes:,} classes are too many for logistic regression: the head is ridge "
        "regression in closed form, whatever the loss."
    )
    heads = fit_ridge_path(features, targets, job.classes, weights=weights)
    return [with_scale(head, val, job.val.targets) for head in heads], [note]


def _features(job: Job, model: Network) -> Features:
    train = job.subset(MOST_IMAGES)
    plan = measure_embedding(
        model,
        train.images,
        job.options.precision,
        memory_format=job.options.memory_format,
        count=len(train) + len(job.val),
        seconds=job.measuring_seconds,
    )
    val = embed_once(model, job.val.images)  # in float32, in which the classifier will answer
    found = embed_until(job.deadline_to_embed, model, train.images, plan, seed=job.options.seed)
    return Features(found.features, train.targets[found.rows], val, plan, found.known)


RUNGS.register("frozen")(
    Rung(fit_frozen, pretrained=True, balances=("draws", "weights", "loss", "features", "pictures"))
)
