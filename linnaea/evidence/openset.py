"""Open-set recognition: a familiarity score fitted on the features of training pictures."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from linnaea.models.familiarity import Familiarity

Floats = npt.NDArray[np.float32]
RANK = 64
SHRINKAGE = 0.05


def fit_familiarity(features: Floats, targets: npt.NDArray[Any], classes: int) -> Familiarity:
    """Fit class means and a common covariance to features (N, D) of training pictures with classes (N,).

    The covariance keeps at most 64 directions, with a twentieth of the mean variance added to each, so that few
    pictures in many dimensions do not make it singular. Targets of several labels (N, K) make no classes: one mean
    stands for all.
    """
    if targets.ndim == 2:
        targets = np.zeros(len(targets), dtype=np.int64)
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    means = np.stack(
        [
            unit[targets == number].mean(axis=0) if (targets == number).any() else unit.mean(axis=0)
            for number in range(classes)
        ]
    )
    centred = unit - means[targets]
    rank = max(1, min(RANK, (len(features) - 1) // 2, features.shape[1] // 2))
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    variances = singular**2 / max(1, len(features) - classes)
    floor = SHRINKAGE * variances.sum() / features.shape[1] + 1e-12
    rest = variances[rank:].sum() / max(1, features.shape[1] - rank) + floor
    familiarity = Familiarity(classes, features.shape[1], rank)
    familiarity.directions.copy_(torch.from_numpy(directions[:rank]))
    familiarity.precisions.copy_(torch.from_numpy(1 / (variances[:rank] + floor)))
    familiarity.residual_precision.fill_(float(1 / rest))
    familiarity.classes.copy_(torch.from_numpy(means))
    return familiarity
