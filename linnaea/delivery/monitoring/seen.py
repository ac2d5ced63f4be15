"""What is known of images that were answered: those of the reference, or those that were served since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from linnaea.arrays import Flags, Floats, Integers
from linnaea.predictions import Predictions

UNANSWERED = ("unreadable", "undefined")  # reasons of what has no scores


@dataclass(frozen=True, eq=False)
class Seen:
    """A row for each of n images, in the order in which they came; NaN, or None, is what is not known.

    `ids` name them: of a log `REQUEST/PLACE`. `logits` (n, K) are calibrated, `confidence` and `ood_scores` (n,) what
    was told. `labels` are answers as they were told: a name, several, a group, None. `sets` are prediction sets,
    `reasons` of `linnaea.predictions.REASONS`. `times` (n,) are seconds since 1970, UTC. `looks` are numbers by name
    (n,), see `linnaea.data.images.looks`; `features` (n, D) those of the network, None where none were computed.
    `slices` are further columns by name, such as `version`, `key` and metadata; `truth` are labels that were learnt
    later, `chances` (n,) how likely each image was to be given one. `images` are the files, where they were kept.
    """

    ids: Sequence[str]
    logits: Floats
    confidence: Floats
    ood_scores: Floats
    labels: Sequence[Any]
    sets: Sequence[Sequence[str] | None]
    reasons: Sequence[str]
    times: Floats
    looks: Mapping[str, Floats] = field(default_factory=dict)
    features: Floats | None = None
    slices: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    truth: Sequence[Any] = ()
    chances: Floats | None = None
    images: Sequence[Path | None] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def readable(self) -> Flags:
        """Whether each image has scores, all of them numbers (n,)."""
        return np.asarray(np.isfinite(self.logits).all(axis=1))

    @property
    def set_sizes(self) -> Floats:
        """How many classes each prediction set holds (n,)."""
        return np.array([np.nan if one is None else len(one) for one in self.sets])

    def take(self, rows: Sequence[int] | Integers) -> "Seen":
        """Those of these images."""
        places = np.asarray(rows, dtype=np.int64)
        return replace(self, **{one.name: _taken(getattr(self, one.name), places) for one in fields(self)})

    def with_(self, **changes: Any) -> "Seen":
        """The same with other columns."""
        return replace(self, **changes)

    @classmethod
    def of_predictions(cls, predictions: Predictions, **more: Any) -> "Seen":
        """What predictions know; `more` are columns that they have not, such as `looks` and `features`."""
        told = predictions.loaded()
        count = len(told)

        def numbers(name: str) -> Floats:
            return np.array([np.nan if value is None else value for value in told.column(name)], dtype=np.float64)

        return cls(
            ids=told.column("id"),
            logits=told.scores("logits"),
            confidence=numbers("confidence"),
            ood_scores=numbers("ood_score"),
            labels=told.column("label"),
            sets=told.column("prediction_set"),
            reasons=told.column("reason"),
            **{"times": np.full(count, np.nan), "truth": told.column("truth"), **more},
        )


def _taken(column: Any, places: Integers) -> Any:
    """These rows of a column, of each of several columns, or of one that is not there."""
    if column is None or (not isinstance(column, Mapping) and len(column) == 0):
        return column
    if isinstance(column, Mapping):
        return {name: _taken(values, places) for name, values in column.items()}
    return column[places] if isinstance(column, np.ndarray) else [column[place] for place in places.tolist()]
