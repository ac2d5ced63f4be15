"""What a query strategy would have brought on images whose labels are known: heads on features, learnt step by step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from linnaea.arrays import Float32, Floats, Integers
from linnaea.learning.heads import LinearHead, fit_path
from linnaea.learning.queries.contract import QUERIES, Pool, needs_of

MEMBERS = 5  # heads on images drawn with replacement, where a strategy needs members


@dataclass(frozen=True, eq=False)
class Known:
    """Images whose labels are known: `features` (N, D), `targets` (N,) as indices of so many `classes`."""

    features: Float32
    targets: Integers
    classes: int

    def __len__(self) -> int:
        return len(self.targets)

    def fitted(self, rows: Integers, strength: float) -> LinearHead:
        """Logistic regression that has seen the labels of these rows."""
        (head,) = fit_path(self.features[rows], self.targets[rows], self.classes, strengths=(strength,))
        return head

    def accuracy(self, head: LinearHead, rows: Integers) -> float:
        """The share of these rows that it answers correctly."""
        return float((head.logits(self.features[rows]).argmax(axis=1) == self.targets[rows]).mean())


@dataclass(frozen=True, eq=False)
class Parts:
    """Rows of known images: with labels at the `start`, in the `pool`, and those that answers are judged by."""

    start: Integers
    pool: Integers
    judged: Integers


def divided(known: Known, start: int, judged: int, seed: int) -> Parts:
    """Rows drawn at random: `judged` of them, `start` of the others with at least one of each class there is."""
    order = np.random.default_rng(seed).permutation(len(known))
    rest = order[judged:]
    firsts = rest[np.sort(np.unique(known.targets[rest], return_index=True)[1])]
    sequence = np.concatenate([firsts, rest[~np.isin(rest, firsts)]])
    start = max(start, len(firsts))
    return Parts(sequence[:start], sequence[start:], order[:judged])


def best_strength(known: Known, parts: Parts, asked: int) -> float:
    """The strength of heads that answer most of those that judge correctly, with so many labels more at random.

    Of several that are as good it is the middle one, as the labels that a strategy asks for are others.
    """
    rows = np.concatenate([parts.start, parts.pool[:asked]])  # the pool is in random order
    heads = fit_path(known.features[rows], known.targets[rows], known.classes)
    right = [known.accuracy(head, parts.judged) for head in heads]
    best = [head.strength for head, share in zip(heads, right, strict=True) if share == max(right)]
    return best[len(best) // 2]


def accuracies(
    known: Known, parts: Parts, method: str, steps: Sequence[int], *, strength: float, seed: int
) -> list[float]:
    """The accuracy with the labels at the start, and after each step, in which so many more labels are asked for."""
    labelled, pool = parts.start, parts.pool
    head = known.fitted(labelled, strength)
    found = [known.accuracy(head, parts.judged)]
    for number, step in enumerate(steps):
        seen = _pool(known, labelled, pool, head, method, strength=strength, seed=seed * len(steps) + number)
        asked = QUERIES[method](seen, step)
        labelled, pool = np.concatenate([labelled, pool[asked]]), np.delete(pool, asked)
        head = known.fitted(labelled, strength)
        found.append(known.accuracy(head, parts.judged))
    return found


def _pool(
    known: Known, labelled: Integers, pool: Integers, head: LinearHead, method: str, *, strength: float, seed: int
) -> Pool:
    """What the strategy sees of the pool."""
    features, needs = known.features[pool], needs_of(method)
    information = _information(known, labelled, features, strength, seed) if "information" in needs else None
    own = known.features[labelled] if "known" in needs else None
    return Pool(softmax(head.logits(features), axis=1), features, own, information, seed=seed)


def _information(known: Known, labelled: Integers, features: Float32, strength: float, seed: int) -> Floats:
    """Mutual information of answer and member (N,), in nats, of heads on labelled images drawn with replacement."""
    random = np.random.default_rng(seed)
    drawn = (random.choice(labelled, len(labelled)) for _ in range(MEMBERS))
    shares = np.stack([softmax(known.fitted(rows, strength).logits(features), axis=1) for rows in drawn])
    logs = np.log(np.clip(shares, 1e-12, None))
    mean = shares.mean(axis=0)
    own = -(shares * logs).sum(axis=2).mean(axis=0)
    return np.asarray(-(mean * np.log(np.clip(mean, 1e-12, None))).sum(axis=1) - own)
