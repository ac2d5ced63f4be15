"""Ridge regression on class indices in closed form, the whole path from one decomposition: heads for many classes."""

from collections.abc import Sequence

import numpy as np
import torch

from linnaea.arrays import Array, Float32
from linnaea.learning.heads import LinearHead
from linnaea.learning.losses.cross_entropy import cross_entropy
from linnaea.learning.temperature import best_factor

SCALES = (-2.0, 12.0)  # the logarithm of the factor on the scores of a head
MOST_SCALED = 2_000  # images that the factor is fitted on
PENALTIES = (
    0.001,
    0.003,
    0.01,
    0.03,
    0.1,
    0.3,
    1.0,
    3.0,
    10.0,
)  # times the mean variance of the features, summed over the images


def fit_ridge_path(
    features: Float32,
    targets: Array,
    classes: int,
    *,
    penalties: Sequence[float] = PENALTIES,
    weights: Float32 | None = None,
) -> list[LinearHead]:
    """Fit one head per penalty, the largest first: least squares on -1 and 1 for each class (Hoerl and Kennard 1970).

    Features (N, D), class indices (N,), and how much each image counts, `weights` (N,) (None: 1). The bias is not
    penalised; `strength` of a head is one over its penalty. Takes N D^2 + D^3 for all, D^2 K for each, and memory for
    D^2 + D K numbers beside the features: what classes cost does not grow with the number of images.
    """
    inputs = torch.from_numpy(features)
    counted = torch.ones(len(targets)) if weights is None else torch.from_numpy(weights)
    mean = counted @ inputs / counted.sum()
    centred = inputs - mean
    gram = centred.T @ (centred * counted[:, None])
    labels = torch.from_numpy(targets)
    moment = torch.zeros(classes, inputs.shape[1]).index_add_(0, labels, centred * (2 * counted[:, None]))
    share = torch.zeros(classes).index_add_(0, labels, counted) / counted.sum()
    values, vectors = torch.linalg.eigh(gram.double())
    turned = moment @ vectors.float()
    heads = []
    for penalty in sorted(penalties, reverse=True):
        ridge = penalty * float(gram.diagonal().mean().clamp(min=1e-6))
        weight = (turned / (values.clamp(min=0) + ridge).float()) @ vectors.T.float()
        heads.append(LinearHead(weight.numpy(), (2 * share - 1 - weight @ mean).numpy(), 1 / ridge))
    return heads


def with_scale(head: LinearHead, features: Float32, targets: Array) -> LinearHead:
    """The head with its scores times the factor that makes them logits: of the lowest cross-entropy on these images.

    Regressions on -1 and 1 differ by hundredths where there are many classes, as if nothing were known.
    """
    rows = np.sort(np.random.default_rng(0).permutation(len(targets))[:MOST_SCALED])
    scores = head.logits(features[rows])
    factor = np.float32(best_factor(cross_entropy, scores, targets[rows], logarithms=SCALES, tolerance=0.05)[0])
    return LinearHead(head.weight * factor, head.bias * factor, head.strength)
