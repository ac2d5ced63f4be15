"""What metrics read: the arrays of a predictions table, derived once."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
from scipy import sparse

from linnaea.arrays import Flags, Floats, Integers
from linnaea.errors import DataError
from linnaea.evidence.metrics.columns import Columns
from linnaea.predictions import Predictions

BINS = 15
_ROUNDING = 1e-3  # by which a probability may lie outside of 0 to 1


@dataclass(frozen=True)
class Ranking:
    """Images by rising probability of one class, and where in that order its own images are.

    `order` (m,) are the rows of the images that are ranked; `positives` (P,) are places in that order; `first` and
    `behind` (P,) are the places where the run of equal probabilities around each positive starts and has ended.
    """

    order: npt.NDArray[np.int32]
    positives: Integers
    first: Integers
    behind: Integers

    @classmethod
    def of(cls, probabilities: Floats, there: Flags) -> "Ranking":
        """Rank images by probabilities (n,); `there` (n,) says which show the class."""
        order = probabilities.argsort(kind="stable").astype(np.int32)
        ordered = probabilities[order]
        positives = np.flatnonzero(there[order])
        first = ordered.searchsorted(ordered[positives], side="left")
        behind = ordered.searchsorted(ordered[positives], side="right")
        return cls(order, positives, first, behind)


class Judged(ABC):
    """What was answered about n images, and what is true of them: as much as every figure needs to know.

    Its fields are arrays with a row per image, among them `probabilities` (n, K) and `readable` (n,).
    """

    probabilities: Floats | Columns
    readable: Flags

    @property
    def classes(self) -> int:
        """K, the number of classes."""
        return int(self.probabilities.shape[1])

    def __len__(self) -> int:
        return len(self.readable)

    def take(self, rows: Integers | Flags) -> Self:
        """The same of some images: positions (m,) or a mask (n,)."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(cast(Any, self))})

    def with_readable(self, readable: Flags) -> Self:
        """The same with only these images (n,) called readable."""
        return cast(Self, replace(cast(Any, self), readable=readable))

    def readable_part(self, weights: Floats) -> tuple[Self, Floats]:
        """The readable images and their columns of `weights` (B, n)."""
        return (self, weights) if self.readable.all() else (self._read, weights[:, self.readable])

    @cached_property
    def _read(self) -> Self:
        return self.take(self.readable)

    @property
    def counted(self) -> Flags:
        """The images (n,) of which anything is known: all, where each has its label."""
        return np.ones(len(self), dtype=bool)

    @property
    @abstractmethod
    def hits(self) -> Flags:
        """Whether each image is answered correctly in all that is known of it (n,)."""

    @abstractmethod
    def lack(self, used: Flags) -> str:
        """What a figure of order lacks that is not defined on the `used` images (n,), of which there are some."""


@dataclass(frozen=True, eq=False)
class Scores(Judged):
    """What was answered about n images of K classes.

    `targets` and `answers` (n,) are class indices, an answer is -1 for an unreadable image; `probabilities` (n, K),
    `confidence` and `log_likelihood` (the logarithm of the true class's probability) (n,) are NaN there, as is what is
    derived from the probabilities: `squared_error` (n,), the sum over classes of squared distances between probability
    and truth, 0 to 2. `place` (n,) is how many classes come before the true one; the earlier class wins a tie.
    """

    targets: Integers
    answers: Integers
    probabilities: Floats | Columns
    confidence: Floats
    log_likelihood: Floats
    readable: Flags
    squared_error: Floats
    place: Integers

    @classmethod
    def of(cls, predictions: Predictions) -> "Scores":
        """Derive the arrays, reading the wide columns once; of a file that was only opened probabilities stay on disk.

        Those of a taxonomy do not. Raises DataError for an image without truth or a readable one without probabilities.
        """
        targets, confidence, readable = predictions.targets, confidence_of(predictions), predictions.readable
        shape = (len(predictions), len(predictions.classes))
        in_memory = predictions.source is None or predictions.rules.hierarchical
        whole: Floats | Columns = np.empty(shape) if in_memory else Columns(*shape)
        if not predictions.has("probabilities"):
            raise DataError("the predictions have no column 'probabilities': expected a list of K numbers per image.")
        names = ["probabilities", *(["logits"] if predictions.has("logits") else [])]
        start, facts = 0, [_of_rows(np.empty((0, shape[1])), targets[:0])]
        for probabilities, *logits in predictions.score_parts(*names):
            part = slice(start, start := start + len(probabilities))
            require_finite(predictions, part, probabilities, confidence[part], readable[part])
            whole[part] = probabilities
            facts.append(_of_rows(probabilities, targets[part], *logits))
        square, place, plain, stable = (np.concatenate(parts) for parts in zip(*facts, strict=True))
        # Calibrated probabilities are not the softmax of the logits: then the probabilities are what was said.
        agree = np.allclose(np.exp(stable), np.exp(plain), rtol=1e-3, atol=1e-5, equal_nan=True)
        likelihood = stable if agree else plain
        return cls(targets, predictions.answers, whole, confidence, likelihood, readable, square, place)

    @classmethod
    def of_arrays(
        cls, targets: Integers, answers: Integers, probabilities: Floats, confidence: Floats, readable: Flags
    ) -> "Scores":
        """The same from arrays, where no logits are known."""
        square, place, plain, _ = _of_rows(probabilities, targets)
        return cls(targets, answers, probabilities, confidence, plain, readable, square, place)

    def lack(self, used: Flags) -> str:
        """What a figure of order lacks that is not defined on the `used` images (n,), of which there are some."""
        return "all images belong to one class" if len(np.unique(self.targets[used])) == 1 else "not on these images"

    @cached_property
    def hits(self) -> Flags:
        """Whether each answer is right (n,)."""
        return np.asarray(self.answers == self.targets)

    @property
    def right(self) -> Flags:
        """Whether what was answered is true (n,)."""
        return self.hits

    @property
    def mistaken(self) -> Flags:
        """Whether an image could be read and what was answered is not true (n,)."""
        return np.asarray(self.readable & ~self.hits)

    @cached_property
    def bins(self) -> Integers:
        """The bin of each confidence (n,) among `BINS` of equal width, closed above."""
        return np.digitize(self.confidence, np.linspace(0, 1, BINS + 1)[1:-1], right=True).astype(np.int64)

    def columns(self, numbers: Integers) -> Floats:
        """The probabilities (n, C) of some classes, by their numbers (C,)."""
        if isinstance(self.probabilities, Columns):
            kept = {number: self.probabilities[:, number] for number in np.unique(numbers).tolist()}
            return np.stack([kept[number] for number in numbers.tolist()], axis=1)
        return np.asarray(self.probabilities[:, numbers])

    @cached_property
    def levels(self) -> tuple[int, Integers]:
        """How many confidences there are, and the place of each image's own among them, the highest first (n,)."""
        levels, places = np.unique(-self.confidence, return_inverse=True)
        return len(levels), places

    @cached_property
    def rankings(self) -> list[Ranking]:
        """A ranking per class; orders are int32, so all of them take half of what the probabilities take."""
        return [Ranking.of(self.probabilities[:, k], self.targets == k) for k in range(self.classes)]


def confidence_of(predictions: Predictions) -> Floats:
    """The confidence of each answer (n,), NaN for an unreadable image."""
    return np.asarray(predictions.table.column("confidence").to_numpy().astype(np.float64))


def finite_scores(predictions: Predictions) -> Floats:
    """Probabilities (n, K); raises DataError where a readable image has none."""
    probabilities = predictions.scores()
    require_finite(predictions, slice(None), probabilities, confidence_of(predictions), predictions.readable)
    return probabilities


def require_finite(
    predictions: Predictions, rows: slice, probabilities: Floats, confidence: Floats, readable: Flags
) -> None:
    """Raise DataError where an image that is `readable` (b,) has no confidence (b,) or no probabilities (b, K).

    Also where these are none, below 0 or above 1.
    """
    absent = readable & ~(np.isfinite(probabilities).all(axis=1) & np.isfinite(confidence))
    if absent.any():
        first = predictions.column("id")[rows][int(absent.argmax())]
        raise DataError(
            f"{absent.sum()} readable images have no finite probabilities or confidence (first {first!r}): "
            "check the model's outputs for NaN, or mark these images as unreadable."
        )
    read = probabilities[readable]
    if read.size and (read.min() < -_ROUNDING or read.max() > 1 + _ROUNDING):
        strange = readable & ((probabilities < -_ROUNDING) | (probabilities > 1 + _ROUNDING)).any(axis=1)
        first = predictions.column("id")[rows][int(strange.argmax())]
        raise DataError(
            f"{strange.sum()} images have probabilities below 0 or above 1 (first {first!r}): give probabilities, and "
            "not logits or percentages."
        )


def totals(weights: Floats, places: Integers, count: int, values: Floats | Flags | None = None) -> Floats:
    """Sum `weights` (B, n), times `values` (n,), into (B, count) by `places` (n,); a place of -1 goes nowhere."""
    data = (places >= 0).astype(np.float64) if values is None else values * (places >= 0)
    indicator = sparse.csr_array(
        (np.asarray(data, dtype=np.float64), np.maximum(places, 0), np.arange(len(places) + 1)),
        shape=(len(places), count),
    )
    return np.asarray(weights @ indicator)


def ratio(part: Floats, whole: Floats) -> Floats:
    """`part / whole`, NaN where `whole` is 0."""
    quotient: Floats = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=quotient, where=whole > 0)
    return quotient


def mean_of_defined(values: Floats) -> Floats:
    """Mean over the last axis of (B, C) that leaves out NaN; NaN where nothing is left."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1).astype(np.float64))


def _of_rows(
    probabilities: Floats, targets: Integers, logits: Floats | None = None
) -> tuple[Floats, Integers, Floats, Floats]:
    """Of images (b, K) the squared error, the place of the true class, and the logarithm of its probability (b,).

    The last is told twice: from the probabilities, none less than the smallest float32, and from the logits, which are
    exact; NaN where there are none.
    """
    rows = np.arange(len(targets))
    chosen = probabilities[rows, targets]
    # (p - 1)^2 for the true class in place of p^2.
    square = np.einsum("nk,nk->n", probabilities, probabilities) - 2 * chosen + 1
    earlier = np.arange(probabilities.shape[1]) < targets[:, None]
    ahead = (probabilities > chosen[:, None]) | ((probabilities == chosen[:, None]) & earlier)
    stable = np.full(len(targets), np.nan) if logits is None else _log_softmax(logits, targets)
    plain = np.log(np.maximum(chosen, float(np.finfo(np.float32).tiny)))
    return np.maximum(square, 0), ahead.sum(axis=1), plain, stable


def _log_softmax(logits: Floats, targets: Integers) -> Floats:
    """The logarithm of the true class's share (b,) of the exponentials of logits (b, K), which are not kept."""
    most = logits.max(axis=1, initial=-np.inf)
    moved = logits - np.where(np.isfinite(most), most, 0.0)[:, None]
    own = moved[np.arange(len(targets)), targets]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # an infinite logit has no finite share
        return np.asarray(own - np.log(np.exp(moved, out=moved).sum(axis=1)))
