"""The rungs without a network: the majority class, and HOG with colour histograms and a linear SVM."""

import numpy as np
import torch

from linnaea.learning.heads import LinearHead, choose, fit_path
from linnaea.learning.job import Fitted, Job
from linnaea.learning.losses import Criterion, criterion_for
from linnaea.learning.losses.contract import is_for
from linnaea.learning.rungs.contract import RUNGS, Rung
from linnaea.models.embedding import embed
from linnaea.models.feature_cache import embed_until
from linnaea.models.hog import Hog
from linnaea.models.majority import Majority

MOST_IMAGES = 10_000
SVM_STRENGTHS = (0.0001, 0.0003, 0.001, 0.003, 0.01)
LOGISTIC_STRENGTHS = (0.0003, 0.0006, 0.001, 0.002, 0.003, 0.006, 0.01)
ITERATIONS = 100
HINGE = "squared_hinge"


def fit_majority(job: Job) -> Fitted:
    """Count the classes of the training split; of several labels the odds of each among the images that know it."""
    model = Majority(job.classes)
    if job.task.multilabel:
        there, absent = ((job.train.targets == value).sum(axis=0) + 1 for value in (1, 0))
        prior = np.log(there / absent)
    else:
        counts = np.bincount(job.train.targets, minlength=job.classes)
        prior = np.log((counts + 1) / (counts.sum() + job.classes))
    model.prior.copy_(torch.from_numpy(prior))
    return Fitted(model)


def fit_hog(job: Job) -> Fitted:
    """Linear SVM on HOG and colour histograms (Dalal and Triggs 2005), its strength chosen on the validation split.

    With another loss than the squared hinge, as asked for or where the task has no use for that, a regression.
    """
    model = Hog(job.classes, job.size, job.channels)
    train = job.subset(MOST_IMAGES)
    val = embed(model, job.val.images)
    found = embed_until(job.deadline_to_embed, model, train.images, once=False, seed=job.options.seed)
    known = train.targets[found.rows]
    groups = None if train.groups is None else train.groups[found.rows]
    features, targets, weights = job.balance.for_head(found.features, known, job.options.seed, groups)
    criterion = _criterion(job)
    machine = criterion.name == HINGE
    heads = fit_path(
        features,
        targets,
        job.classes,
        loss=criterion.losses,
        strengths=SVM_STRENGTHS if machine else LOGISTIC_STRENGTHS,
        iterations=ITERATIONS,
        weights=weights,
        deadline=job.deadline,
    )
    best = choose(heads, val, job.val.targets, job.balance.on_val(job.val.targets, job.val.groups))
    install(best, model.classifier)
    kind = "SVM" if machine else "logistic regression"
    notes = [f"The {kind}'s strength C = {best.strength} was chosen on val.", *job.balance.notes]
    if len(known) < len(job.train):
        notes.append(f"It was fitted on {len(known)} of {len(job.train)} training images, drawn at random.")
    whole = found.features if len(known) == len(job.train) else None
    return Fitted(model, notes=notes, features=whole, val_features=val)


def _criterion(job: Job) -> Criterion:
    """The loss that was asked for, or that of a support vector machine where the task can be learnt by it."""
    usual = HINGE if is_for(HINGE, job.task.name) else None
    return criterion_for(job.task, job.options.loss or usual, job.tree)


def install(head: LinearHead, layer: torch.nn.Linear) -> None:
    """Copy a fitted head into a linear layer."""
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(head.weight))
        layer.bias.copy_(torch.from_numpy(head.bias))


RUNGS.register("majority", title="Majority", meaning="How often each class is seen, whatever the image: the floor.")(
    Rung(fit_majority, pretrained=None, baseline=True)
)
RUNGS.register("hog", title="HOG", meaning="A linear support vector machine on gradients and colours.", cost="seconds")(
    Rung(fit_hog, pretrained=None, balances=("draws", "weights", "features", "pictures"))
)
