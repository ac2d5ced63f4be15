"""Whether answers were right, and sets held the truth, where labels are known."""

from typing import Any

import numpy as np

from linnaea.arrays import Floats
from linnaea.decisions import Policy
from linnaea.delivery.monitoring.seen import Seen

NONE_OF_THEM = ""  # the truth of an image of none of the classes


def rightness(seen: Seen, policy: Policy) -> Floats:
    """1 for a right answer, 0 for a wrong one, NaN where nobody knows (n,); without an answer it is wrong.

    A group is right where the truth lies below it; of several labels all must be.
    """
    return _judged(seen, lambda row, truth: _is_right(seen.labels[row], truth, dict(policy.parents)))


def coveredness(seen: Seen) -> Floats:
    """1 where the prediction set holds the truth, 0 where not, NaN where nobody knows, or there was no set (n,)."""
    found = _judged(seen, lambda row, truth: _holds(seen.sets[row], truth))
    return np.where([one is None for one in seen.sets], np.nan, found)


def _judged(seen: Seen, rule: Any) -> Floats:
    if not len(seen.truth):
        return np.full(len(seen), np.nan)
    return np.array([np.nan if truth is None else float(rule(row, truth)) for row, truth in enumerate(seen.truth)])


def _is_right(label: Any, truth: Any, parents: dict[str, str]) -> bool:
    if isinstance(truth, list | tuple):
        return label is not None and set(label) == set(truth)
    if label is None or truth == NONE_OF_THEM:
        return False
    while truth != label and truth in parents:
        truth = parents[truth]
    return bool(truth == label)


def _holds(members: Any, truth: Any) -> bool:
    names = truth if isinstance(truth, list | tuple) else [truth]
    return members is not None and set(names) <= set(members)
