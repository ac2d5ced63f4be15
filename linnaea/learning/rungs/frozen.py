"""The rung that trains nothing but a head: a pretrained backbone with logistic regression on its features."""

from linnaea.arrays import Float32, Targets
from linnaea.learning.heads import LinearHead, choose, fit_path
from linnaea.learning.job import Features, Fitted, Job
from linnaea.learning.ridge import fit_ridge_path, with_scale
from linnaea.learning.rungs.classical import install
from linnaea.learning.rungs.contract import RUNGS, Rung
from linnaea.models.channels import remarks_on
from linnaea.models.embedding import measure_embedding
from linnaea.models.feature_cache import embed_once, embed_until
from linnaea.models.network import Network

MOST_IMAGES = 50_000
MOST_PRODUCTS = 10**10  # of an image, a feature and a class: some minutes of logistic regression on two cores


def fit_frozen(job: Job) -> Fitted:
    """Embed every image once, unless it was before, then fit a linear head along its regularisation path.

    It is logistic regression, multinomial or, for several labels, one per label, unless another loss is asked for. A
    head that was fitted before, for the same weights in the same ladder, is taken again.
    """
    assert job.weights is not None, "steps_for gives this rung its weights"
    model: Network = job.weights.build(job.classes, job.size, job.channels).to(job.options.device)
    if job.weights.source not in job.features:
        job.features[job.weights.source] = _features(job, model)
    known, balance = job.features[job.weights.source], job.balance
    key = f"{job.weights.source} {job.options.balance} {job.options.fair} {job.options.loss} {job.options.seed}"
    if key not in job.heads:
        job.heads[key] = _head(job, known)
    best, remarks = job.heads[key]
    install(best, model.classifier)
    notes = [
        f"The head's strength C = {best.strength:.3g} was chosen on val.",
        *model.remarks(),
        *remarks_on(job.channels),
        *remarks,
        *balance.notes,
    ]
    notes += known.plan.notes
    if len(known.train) < len(job.train):
        notes.append(f"It was fitted on {len(known.train)} of {len(job.train)} training images, drawn at random.")
    return Fitted(
        model,
        notes=notes,
        plan=known.plan.to_json(),
        features=known.train if len(known.train) == len(job.train) else None,
        val_features=known.val,
        fixed=True,
        known=known.known,
    )


def _head(job: Job, known: Features) -> tuple[LinearHead, list[str]]:
    """The best head on val, and remarks on it."""
    features, targets, weights = job.balance.for_head(known.train, known.targets, job.options.seed, known.groups)
    heads, remarks = _path(features, targets, weights, job, known.val)
    counted = job.balance.on_val(job.val.targets, job.val.groups)
    return choose(heads, known.val, job.val.targets, counted), remarks


def _path(
    features: Float32, targets: Targets, weights: Float32 | None, job: Job, val: Float32
) -> tuple[list[LinearHead], list[str]]:
    """Logistic regressions or, of very many numbers and one label per image, ridge regressions, which is noted.

    A loss that was asked for is always the one that is used.
    """
    few = targets.ndim == 2 or features.size * job.classes <= MOST_PRODUCTS
    if few or job.options.loss is not None:
        loss = job.balance.head_loss(job.criterion.losses)
        return fit_path(features, targets, job.classes, loss=loss, weights=weights, deadline=job.deadline), []
    note = (
        f"{len(features):,} images of {job.classes:,} classes are too many for logistic regression: the head is ridge "
        "regression in closed form."
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
    groups = None if train.groups is None else train.groups[found.rows]
    return Features(found.features, train.targets[found.rows], val, plan, found.known, groups=groups)


RUNGS.register(
    "frozen", title="Frozen backbone", meaning="A linear head on what a pretrained network sees.", cost="minutes"
)(Rung(fit_frozen, pretrained=True, balances=("draws", "weights", "loss", "features", "pictures")))
