"""Features between those of images of a rare class."""

import numpy as np

from linnaea.arrays import Float32, Integers
from linnaea.errors import MissingExtraError
from linnaea.learning.balance.contract import BALANCERS, Balancer

NEIGHBOURS = 5
MOST_ROWS = 100_000


def smote(features: Float32, targets: Integers, seed: int) -> tuple[Float32, Integers]:
    """Fill each class up to the largest with points between neighbours in its features (Chawla et al. 2002).

    Neighbours are the five nearest, or all there are; a class of one image is repeated. All classes together get at
    most 100,000 rows.
    """
    present, counts = np.unique(targets, return_counts=True)
    wanted = min(int(counts.max()), MOST_ROWS // len(present))
    made = [(features, targets)]
    for neighbours in range(NEIGHBOURS + 1):
        rare = present[(np.minimum(counts - 1, NEIGHBOURS) == neighbours) & (counts < wanted)]
        if len(rare):
            fill = _between if neighbours else _repeated
            made.append(fill(features, targets, dict.fromkeys(rare.tolist(), wanted), seed, neighbours))
    return np.concatenate([rows for rows, _ in made]), np.concatenate([labels for _, labels in made])


def _between(
    features: Float32, targets: Integers, wanted: dict[int, int], seed: int, neighbours: int
) -> tuple[Float32, Integers]:
    try:
        from imblearn.over_sampling import SMOTE
    except ImportError:
        raise MissingExtraError("imbalanced-learn", "balance") from None
    sampler = SMOTE(sampling_strategy=wanted, k_neighbors=neighbours, random_state=seed)
    more, labels = sampler.fit_resample(features, targets)
    return more[len(targets) :], labels[len(targets) :]


def _repeated(
    features: Float32, targets: Integers, wanted: dict[int, int], seed: int, neighbours: int
) -> tuple[Float32, Integers]:
    labels = np.concatenate([np.full(count - 1, number, dtype=targets.dtype) for number, count in wanted.items()])
    first = {number: int(np.flatnonzero(targets == number)[0]) for number in wanted}
    return features[[first[number] for number in labels.tolist()]], labels


BALANCERS.register(
    "smote",
    title="SMOTE",
    meaning="Fill each class up to the largest with points between neighbours in its features (Chawla et al. 2002).",
)(Balancer("features", smote))
