"""The contract of a check, and what it sees."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.arrays import Float32
from linnaea.data.duplicates.grouping import kept_together
from linnaea.data.images.appearance import Looks
from linnaea.data.images.headers import Facts
from linnaea.dataset import Dataset
from linnaea.finding import Estimate, Finding
from linnaea.registry import Registry
from linnaea.runtime.arguments import COLOUR

Judge = Callable[[npt.NDArray[np.int64]], Float32]
SHOWN = 12


@dataclass(frozen=True)
class Inspection:
    """What a check sees: the readable images of `dataset`, its splits filled, and `duplicates`, a group per row (N,).

    What the rest needs more work for is absent where nobody did it: `facts` from each file's header, `looks` measured
    on its pixels, `features` (N, D) that a model made of it, and `judge`, which learns class indices (N,) and
    gives probabilities (N, K), each from a classifier that was not fitted on that image; `unjudged` says why there is
    none. `fit` is the way images become square, `channels` how many of them are looked at;
    `pretrained` says whether a pretrained network made the features. A check that lacks what it needs returns None.
    """

    dataset: Dataset
    duplicates: npt.NDArray[np.int64]
    facts: Sequence[Facts] | None = None
    looks: Looks | None = None
    features: Float32 | None = None
    judge: Judge | None = None
    fit: str = "crop"
    channels: int = COLOUR
    pretrained: bool = False
    unjudged: str = "no classifier looked at them"

    @property
    def apart(self) -> npt.NDArray[np.int64]:
        """A number per row (N,), equal where images must not be torn apart."""
        return kept_together(self.dataset, self.duplicates)

    def rows(self, positions: Iterable[int], **columns: Sequence[Any]) -> list[dict[str, Any]]:
        """A row per image for a finding's table: its path, label and split, and further columns."""
        known = [name for name in ("path", "label", "split") if self.dataset.has(name)]
        values = {name: self.dataset.column(name) for name in known}
        return [
            {**{name: values[name][row] for name in known}, **{name: column[at] for name, column in columns.items()}}
            for at, row in enumerate(positions)
        ]


def warn_of(name: str, summary: str, table: Sequence[Mapping[str, Any]], figure: Estimate | None = None) -> Finding:
    """A warning about the images of a table, a row each with its `path`, of which the first twelve are shown."""
    images = [str(row["path"]) for row in table[:SHOWN]]
    return Finding(name, summary, severity="warning", count=len(table), figure=figure, rows=table, images=images)


Check = Callable[[Inspection], Finding | None]
CHECKS: Registry[Check] = Registry(
    "check", "linnaea.data.audit", title="Audit checks", use="Used by `linnaea audit` and `linnaea train`."
)
