"""The contract of a metric: a figure for many weightings of the images at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from linnaea.arrays import Flags, Floats, Integers
from linnaea.evidence.metrics.influence import Linear
from linnaea.evidence.metrics.labels import LabelScores
from linnaea.evidence.metrics.scores import Judged, Scores
from linnaea.evidence.metrics.trees import TreeScores
from linnaea.registry import Registry
from linnaea.statistics.spread import Bounds

S = TypeVar("S", bound=Judged)
Function = Callable[[S, Floats], Floats]
Parts = Callable[[S], tuple[Floats, Floats]]


def _always(_: Judged) -> bool:
    return True


def every_class(scores: Judged) -> int:
    """The weights that a metric sorts per resample which sorts the images once for each class."""
    return len(scores) * scores.classes


@dataclass(frozen=True)
class Metric(Generic[S]):
    """A pure function with what is known about it.

    `function(scores, weights)` takes non-negative weights (B, n), such as the counts of a resample, and returns the
    figure for each weighting (B,), NaN where it is not defined; an integer weight means that often the same image.
    `needs` says for which scores the metric applies, `readable_only` that unreadable images play no part. `flags`,
    for a plain share of images, returns which images count (n,); `share`, for a share of some images, which count (n,)
    and which are looked at (n,). `parts`, for a mean of figures in [0, 1], returns these (C,), NaN for those left out,
        and the number of images behind each (C,); the interval is too narrow where more than a third rest on fewer than
    `enough` images, or groups. `bounds` is the range of the figure. `interval`, for one that chance lifts, returns its
    95 % limits, given the number of the unit, image or group, of each image (n,). A metric that sorts has `sorts`,
    how many weights that is for one weighting, and `linear`, the same to first order, for where that is too many.
    """

    function: Function[S]
    higher_is_better: bool
    needs: Callable[[S], bool] = _always
    readable_only: bool = False
    flags: Callable[[S], Flags] | None = None
    share: Callable[[S], tuple[Flags, Flags]] | None = None
    parts: Parts[S] | None = None
    enough: int = 0
    bounds: Bounds = (0.0, 1.0)
    interval: Callable[[S, Integers], tuple[float, float]] | None = None
    sorts: Callable[[S], int] | None = None
    linear: Callable[[S], Linear] | None = None

    def __call__(self, scores: S, weights: Floats) -> Floats:
        """The figure for each of the weightings (B, n), shape (B,)."""
        return self.function(scores, weights)


METRICS: Registry[Metric[Scores]] = Registry(
    "metric",
    "linnaea.evidence.metrics",
    title="Metrics",
    use="Used by `linnaea train`, `linnaea evaluate` and `linnaea compare`.",
)
LABEL_METRICS: Registry[Metric[LabelScores]] = Registry(
    "metric of several labels",
    "linnaea.evidence.metrics",
    title="Metrics of several labels",
    use="Used in their place where an image may show several labels.",
)
TREE_METRICS: Registry[Metric[TreeScores]] = Registry(
    "metric of a taxonomy",
    "linnaea.evidence.metrics",
    title="Metrics where classes lie below groups",
    use="Beside those of the classes.",
)
