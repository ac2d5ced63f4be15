"""The contract of a drift test: it compares a reference with a window, as they are and with images exchanged.

    @DRIFT_TESTS.register("class_mix", title="Class mix", needs=("logits",), order=60)
    def class_mix(compared: Comparison) -> Drift: ...

`needs` are the columns of `Seen` without which it has nothing to compare: features, logits, looks, ood_scores, sets.
"embedding" is features or, where there are none, logits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from linnaea.arrays import Array, Flags, Float32, Floats, Integers
from linnaea.delivery.monitoring.seen import Seen
from linnaea.registry import Registry
from linnaea.statistics.exchanging import Exchange, p_of_first

PROJECTIONS = 64
ROWS = 4_096  # of features that are projected together


@dataclass(frozen=True, eq=False)
class Comparison:
    """A reference and a window of images, and the draws in which they are exchanged.

    `classes` are their names; `seed` is that of what a test draws beside.
    """

    reference: Seen
    window: Seen
    classes: tuple[str, ...]
    exchange: Exchange
    seed: int = 0

    def lacks(self, needs: Sequence[str]) -> list[str]:
        """Which of the columns either side has not."""
        return [name for name in needs if not all(map(_HAS[name], (self.reference, self.window)))]

    def pooled(self, column: Callable[[Seen], Array]) -> Array:
        """A column of both sides, that of the reference first (N, ...)."""
        return np.concatenate([column(self.reference), column(self.window)])

    def picked(self, column: Callable[[Seen], Array]) -> Array:
        """The same of one image of each block (G, ...)."""
        rows, count = self.exchange.picked, self.exchange.reference
        own = rows < count
        return np.concatenate([column(self.reference)[rows[own]], column(self.window)[rows[~own] - count]])

    @cached_property
    def embedding(self) -> tuple[str, Callable[[Seen], Array]]:
        """What images are compared by, in words, and where it is found: features or, where there are none, logits."""
        if self.lacks(["features"]):
            return "logits", centred_logits
        return "features", lambda seen: seen.features if seen.features is not None else np.zeros((len(seen), 0))

    @cached_property
    def embedded(self) -> tuple[Float32, Flags]:
        """The embedding of picked images (G, D), its columns scaled to mean 0 and variance 1, and who has one (G,)."""
        values = np.asarray(self.picked(self.embedding[1]), dtype=np.float32)
        known: Flags = np.asarray(np.isfinite(values).all(axis=1))
        used = values[known] if known.any() else np.zeros((1, values.shape[1]), dtype=np.float32)
        spread = used.std(axis=0)
        scaled = (values - used.mean(axis=0)) / np.where(spread > SMALLEST_SPREAD, spread, 1.0)
        return np.asarray(np.where(known[:, None], scaled, np.float32(0)), dtype=np.float32), known

    @cached_property
    def gram(self) -> Float32:
        """The products of all pairs of these (G, G), over the number of columns."""
        values, _ = self.embedded
        return np.asarray(values @ values.T / np.float32(max(values.shape[1], 1)))

    @cached_property
    def distances(self) -> Float32:
        """The squared distances of all pairs of these (G, G), over the number of columns."""
        squares = self.gram.diagonal()
        return np.asarray(np.maximum(squares[:, None] + squares - 2 * self.gram, np.float32(0)))

    @cached_property
    def projected(self) -> Float32:
        """The embedding of all images that take part, scaled likewise, along directions drawn by chance (G * s, P).

        They are in the order of the blocks of the exchange, see `Exchange.in_order`.
        """
        raw = np.asarray(self.picked(self.embedding[1]), dtype=np.float32)
        used = raw[np.isfinite(raw).all(axis=1)]
        used = used if len(used) else np.zeros((1, raw.shape[1]), dtype=np.float32)
        centre, spread = used.mean(axis=0), used.std(axis=0)
        directions = np.random.default_rng(self.seed).standard_normal((raw.shape[1], PROJECTIONS), dtype=np.float32)
        scale = np.where(spread > SMALLEST_SPREAD, spread, np.float32(1)) * np.float32(np.sqrt(max(raw.shape[1], 1)))
        scaled, rows = directions / scale[:, None], self.exchange.blocks.ravel()
        count = self.exchange.reference
        sides = ((self.reference, rows[rows < count]), (self.window, rows[rows >= count] - count))
        return np.concatenate([_along(self.embedding[1](seen), own, centre, scaled) for seen, own in sides])


SMALLEST_SPREAD = 1e-6


def centred_logits(seen: Seen) -> Floats:
    """Logits (n, K) less their mean in each row: what answers depend on."""
    return np.asarray(seen.logits - seen.logits.mean(axis=1, keepdims=True))


def _along(values: Floats, rows: Integers, centre: Floats, directions: Float32) -> Float32:
    """These rows of vectors, less their centre, along directions, some after the other."""
    found = np.empty((len(rows), directions.shape[1]), dtype=np.float32)
    for start in range(0, len(rows), ROWS):
        part = np.asarray(values[rows[start : start + ROWS]], dtype=np.float32)
        np.matmul(part, directions, out=found[start : start + len(part)])
    found -= np.asarray(centre @ directions, dtype=np.float32)
    return found


_HAS: Mapping[str, Callable[[Seen], bool]] = {
    "features": lambda seen: seen.features is not None and seen.features.shape[1] > 0,
    "logits": lambda seen: bool(seen.readable.any()),
    "embedding": lambda seen: seen.features is not None or bool(seen.readable.any()),
    "looks": lambda seen: any(bool(np.isfinite(values).any()) for values in seen.looks.values()),
    "ood_scores": lambda seen: bool(np.isfinite(seen.ood_scores).any()),
    "sets": lambda seen: any(one is not None for one in seen.sets),
}


@dataclass(frozen=True, eq=False)
class Drift:
    """What a drift test found: `values` (B + 1,), the statistic as it was seen and in each draw; large is different.

    `what` says in words what changed, by how much: "darker by 0.12". `effect` is how large that is, on a scale that
    does not grow with the number of images, named by `measure`. `rows` are its parts, the most different first.
    """

    values: Floats
    what: str
    effect: float
    measure: str
    rows: Sequence[Mapping[str, Any]] = ()

    @property
    def statistic(self) -> float:
        """As it was seen."""
        return float(self.values[0])

    @property
    def p(self) -> float:
        """Of no difference, by this test alone: exact where images come in no particular order."""
        return p_of_first(self.values)


DriftTest = Callable[[Comparison], Drift]
DRIFT_TESTS: Registry[DriftTest] = Registry(
    "drift test",
    "linnaea.delivery.monitoring.drift",
    title="Drift tests",
    use="Run by `linnaea monitor`, all together, with one rate of false alarms.",
)
