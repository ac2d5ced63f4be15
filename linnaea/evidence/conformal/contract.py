"""The contract of a method of prediction sets, and the quantile that all of them share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from linnaea.arrays import Floats, Integers, Targets
from linnaea.errors import UsageError
from linnaea.registry import Registry

ROUNDING = 1e-9  # 10 * (1 - 0.9) is 1, whatever floating point says
MARGIN = 1e-5  # what two runtimes may differ by


@dataclass(frozen=True)
class SetMaterial:
    """What thresholds are fitted to: calibrated probabilities (n, K), targets, and the coverage that is asked for.

    Targets are indices (n,) or, of several labels, 0, 1 and NaN (n, K). `weights` (K,) are what an image of each class
    counts where classes are met in other shares (None: 1).
    """

    probabilities: Floats
    targets: Targets
    coverage: float
    weights: Floats | None = None

    @cached_property
    def of_truth(self) -> Floats:
        """The probability of each image's true class (n,)."""
        return np.asarray(np.take_along_axis(self.probabilities, self.targets[:, None], axis=1)[:, 0])

    @cached_property
    def counts(self) -> Floats:
        """What each image counts (n,)."""
        return np.ones(len(self.targets)) if self.weights is None else np.asarray(self.weights[self.targets])

    def take(self, rows: Integers) -> "SetMaterial":
        """The same of some images (m,)."""
        return replace(self, probabilities=self.probabilities[rows], targets=self.targets[rows])


SetMethod = Callable[[SetMaterial], Mapping[str, Any]]
SET_METHODS: Registry[SetMethod] = Registry(
    "set method",
    "linnaea.evidence.conformal",
    title="Prediction sets",
    use="Chosen with `linnaea train --sets`; thresholds are fitted on val and kept in the policy.",
)
"""Functions that map what thresholds are fitted to to the fields of a policy that hold them, among them `sets`, the
name of the rule in `linnaea.decisions.SETS` that applies them. Capabilities: `one` and `several`, whether it is for one
label per image and for several; `promise`, the figure that it promises to keep at the coverage or above."""


def usual_sets(*, several: bool) -> str:
    """The method that is used where none is named."""
    return "risk" if several else "lac"


def require_sets(name: str | None, *, several: bool) -> None:
    """Raise UsageError unless it is a method for one label per image, or for several; None is the usual one."""
    if name is None:
        return
    labels = "several" if several else "one"
    SET_METHODS.about(name)
    fitting = [one for one in SET_METHODS if SET_METHODS.about(one).capabilities.get(labels)]
    if name not in fitting:
        words = "several labels" if several else "one label"
        raise UsageError(
            f"sets by {name} are not for {words} per image: expected one of {', '.join(fitting)}, or leave it out."
        )


def highest_allowed(strangeness: Floats, coverage: float, counts: Floats | None = None) -> float:
    """The strangeness that at least the share `coverage` of new images stay below or at, exact for finite samples.

    Of images (n,) that each `counts` (n,) as much (Podkopaev and Ramdas 2021; None: 1). Infinite where there are too
    few images for the coverage.
    """
    order = np.argsort(-strangeness, kind="stable")
    own = np.ones(len(order)) if counts is None else counts[order]
    one = float(own.max(initial=0.0))
    allowed = (own.sum() + one) * (1 - coverage) - one + ROUNDING
    fitting = np.flatnonzero(own.cumsum() - own <= allowed)
    return float(strangeness[order][fitting[-1]]) if len(fitting) else float("inf")


def fewest_for(coverage: float) -> int:
    """How many images a threshold of this coverage needs."""
    return int(np.ceil(coverage / (1 - coverage) - ROUNDING))


def as_least(strangeness: float) -> float:
    """The probability that a class must reach, of the highest strangeness, one less it: 0 where all are allowed."""
    return max(0.0, 1 - strangeness - MARGIN)
