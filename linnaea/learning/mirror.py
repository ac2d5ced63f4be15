"""May pictures be mirrored? Decided by evidence: mirrored digits are not digits, mirrored ants are ants."""

import numpy as np

from linnaea.learning.heads import fit_path, squared_hinge
from linnaea.learning.rungs.rung import Job
from linnaea.models.embedding import embed
from linnaea.models.hog import Hog

MOST_IMAGES = 3_000
TOLERATED_LOSS = 0.15


def choose_augmentations(job: Job, usual: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
    """The augmentations the user asked for, or the usual ones, less the flip when the evidence is against it.

    The evidence: a linear SVM on HOG features, fitted on pictures as they are, is tried on validation pictures as
    they are and mirrored. A flip is left out when mirroring costs more than 15 % of what the SVM gains over the
    majority class. Returns the names and a sentence for the record.
    """
    if job.options.augmentations is not None:
        return job.options.augmentations, [f"Augmentations as asked: {', '.join(job.options.augmentations) or 'none'}."]
    if "flip" not in usual:
        return usual, [f"Augmentations: {', '.join(usual) or 'none'}."]
    plain, mirrored, floor = mirror_evidence(job)
    gain = plain - floor
    keep = gain > 0 and plain - mirrored <= TOLERATED_LOSS * gain
    chosen = usual if keep else tuple(name for name in usual if name != "flip")
    return chosen, [
        f"Augmentations: {', '.join(chosen)}. Mirroring is {'used' if keep else 'not used'}: on validation pictures a "
        f"linear SVM on HOG is right in {plain:.1%} as they are, {mirrored:.1%} mirrored, {floor:.1%} by the majority "
        "class."
    ]


def mirror_evidence(job: Job) -> tuple[float, float, float]:
    """Validation accuracy of the SVM on plain pictures, on mirrored ones, and of the majority class."""
    model = Hog(job.classes, job.size)
    train = job.subset(MOST_IMAGES)
    (head,) = fit_path(
        embed(model, train.images), train.targets, job.classes, loss=squared_hinge, strengths=(0.001,), iterations=50
    )
    val = job.val.subset(MOST_IMAGES, job.options.seed)
    images, targets = val.images, val.targets
    plain, mirrored = (head.logits(embed(model, views)).argmax(axis=1) for views in (images, images[:, :, ::-1].copy()))
    floor = np.bincount(targets).max() / len(targets)
    return float((plain == targets).mean()), float((mirrored == targets).mean()), float(floor)
