"""The family of aims: what a threshold can be chosen for, and what each threshold would do."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from linnaea.arrays import Floats
from linnaea.errors import UsageError
from linnaea.registry import Registry

MARGIN = 1e-5  # what two runtimes may differ by: an image on a threshold is on its known side
ROUNDING = 1e-9  # 20 * (1 - 0.95) is 1, whatever floating point says
TIE = 1e-9  # less than one image of a hundred million


@dataclass(frozen=True)
class Cuts:
    """What each threshold (T,), falling, would do on images of which the truth is known.

    `found` and `mistaken` (T,) count the positives and the negatives at or above it, of `positives` and `negatives` in
    all; `weights` are what one negative and one positive count. A threshold lies midway between two scores that differ
    by more than runtimes may: each image is on the same side of it wherever it is scored.
    """

    thresholds: Floats
    found: Floats
    mistaken: Floats
    positives: float
    negatives: float
    weights: tuple[float, float] = (1.0, 1.0)

    @classmethod
    def of(
        cls,
        scores: Floats,
        truths: Floats,
        weights: tuple[float, float] = (1.0, 1.0),
        promised: Floats | None = None,
    ) -> "Cuts":
        """From scores (n,) in [0, 1] and truths (n,) of 0 and 1; `promised` (n,) are shares to be counted in place."""
        order = np.argsort(-scores, kind="stable")
        ranked, counts = scores[order].astype(np.float64), np.where(truths == 1, weights[1], weights[0])[order]
        shares = np.asarray(truths if promised is None else promised, dtype=np.float64)[order]
        highest = ranked[0] + 2 * max((1 - ranked[0]) / 2, MARGIN) if len(ranked) else 1.0
        above, below = np.append(highest, ranked), np.append(ranked, 0.0)
        last = np.arange(len(above)) == len(ranked)
        apart = np.flatnonzero((below < above * (1 - 2 * MARGIN)) | last)
        found, mistaken = (np.append(0.0, np.cumsum(counts * kind)) for kind in (shares, 1 - shares))
        middle = (above[apart] + below[apart]) / 2
        return cls(middle, found[apart], mistaken[apart], float(found[-1]), float(mistaken[-1]), weights)

    @property
    def recall(self) -> Floats:
        """Of the positives, the share found (T,); also called sensitivity."""
        return _share(self.found, self.positives)

    @property
    def specificity(self) -> Floats:
        """Of the negatives, the share that is correctly rejected (T,)."""
        return _share(self.negatives - self.mistaken, self.negatives)

    @property
    def precision(self) -> Floats:
        """Of the images answered as positive, the share that are (T,); NaN where none is."""
        return _share(self.found, self.found + self.mistaken)

    @property
    def f1(self) -> Floats:
        """The harmonic mean of precision and recall (T,)."""
        return _share(2 * self.found, self.found + self.mistaken + self.positives)


def _share(part: Floats, whole: Floats | float) -> Floats:
    divisor = np.broadcast_to(np.asarray(whole, dtype=np.float64), part.shape)
    share: Floats = np.full(part.shape, np.nan)
    np.divide(part, divisor, out=share, where=divisor > 0)
    return share


@dataclass(frozen=True)
class Aim:
    """A member of the family: what makes one threshold better than another.

    `score(cuts, amounts)` says how good each threshold is (T,), -inf where it misses the aim. `amounts` reads what
    follows the equals sign; None where nothing may. `floor` is the figure of `Cuts` that the amount is a least value
    of; `priced` says that the amounts are what the four kinds of answer cost. `doubtful` says
    that where images are few the score is taken to be partly what the probabilities promise.
    """

    score: Callable[[Cuts, tuple[float, ...]], Floats]
    amounts: Callable[[str], tuple[float, ...]] | None = None
    example: str = ""
    floor: str = ""
    priced: bool = False
    doubtful: bool = False


AIMS: Registry[Aim] = Registry(
    "aim", "linnaea.evidence.aims", title="Aims of thresholds", use="Chosen with `linnaea train --aim`."
)


@dataclass(frozen=True)
class Goal:
    """An aim with its amounts, as `recall=0.95` names it."""

    text: str
    aim: Aim
    amounts: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> "Goal":
        """Read a name of `AIMS`, or `name=amount`; raises UsageError for an unknown name or an amount that is none."""
        name, equals, given = (part.strip() for part in text.partition("="))
        aim = AIMS[name]
        if aim.amounts is None:
            if equals:
                raise UsageError(f"the aim {name!r} takes no number, but {text!r} was given: use {name!r}.")
            return cls(name, aim, ())
        if not given:
            raise UsageError(f"the aim {name!r} needs a number, such as {aim.example!r}.")
        try:
            return cls(f"{name}={given}", aim, aim.amounts(given))
        except ValueError as error:
            raise UsageError(
                f"the aim {text!r} carries {given!r}; expected {error}, such as {aim.example!r}."
            ) from None


def youden(cuts: Cuts, _: tuple[float, ...]) -> Floats:
    """The highest sum of sensitivity and specificity (Youden 1950): both kinds of mistake count by their rate."""
    return cuts.recall + cuts.specificity


def f1(cuts: Cuts, _: tuple[float, ...]) -> Floats:
    """The highest F1, which lies at half of itself where probabilities are true (Lipton et al. 2014)."""
    return cuts.f1


def recall(cuts: Cuts, amounts: tuple[float, ...]) -> Floats:
    """The highest specificity at a recall (sensitivity) of at least so much, for new images on average.

    By the rank of a further positive among those seen (Vovk et al. 2005), as prediction sets are made; where there are
    too few positives for that, none of them is missed.
    """
    missed = cuts.positives - cuts.found
    held = missed <= _allowed(cuts.positives, cuts.weights[1], amounts[0])
    return np.where(held, cuts.specificity + TIE * cuts.recall, -np.inf)


def specificity(cuts: Cuts, amounts: tuple[float, ...]) -> Floats:
    """The highest recall (sensitivity) at a specificity of at least so much, for new images on average."""
    held = cuts.mistaken <= _allowed(cuts.negatives, cuts.weights[0], amounts[0])
    return np.where(held & (cuts.found > 0), cuts.recall + TIE * cuts.specificity, -np.inf)


def precision(cuts: Cuts, amounts: tuple[float, ...]) -> Floats:
    """The highest recall at a precision of at least so much on val (Saito and Rehmsmeier 2015)."""
    reached = np.nan_to_num(cuts.precision)
    return np.where(reached >= amounts[0] - ROUNDING, cuts.recall + TIE * reached, -np.inf)


def cost(cuts: Cuts, amounts: tuple[float, ...]) -> Floats:
    """The lowest cost, `cost=1:5` for a false positive and a false negative (Elkan 2001).

    Or all four costs, a row of the matrix after the other: of a true negative, a false positive, a false negative and
    a true positive, such as `cost=0:1:5:-2`.
    """
    right_no, wrong_yes, wrong_no, right_yes = amounts
    of_negatives = right_no * (cuts.negatives - cuts.mistaken) + wrong_yes * cuts.mistaken
    of_positives = wrong_no * (cuts.positives - cuts.found) + right_yes * cuts.found
    return np.asarray(-(of_negatives + of_positives))


def default(cuts: Cuts, _: tuple[float, ...]) -> Floats:
    """Of two classes the likelier, which is a threshold of one half; of several labels each by its highest F1."""
    return cuts.f1


def _allowed(total: float, one: float, least: float) -> float:
    """How many of `total` may be lost such that of one more, on average, no more than 1 - least is."""
    return max(0.0, (total + one) * (1 - least) - one) + ROUNDING


def _one_share(text: str) -> tuple[float, ...]:
    value = _number(text, "a share above 0 and at most 1")
    if not 0 < value <= 1:
        raise ValueError("a share above 0 and at most 1")
    return (value,)


def _costs(text: str) -> tuple[float, ...]:
    wanted = "two costs above 0, of a false positive and of a false negative, or all four, mistakes costing more"
    values = tuple(_number(part, wanted) for part in text.split(":"))
    if len(values) == 2:
        values = (0.0, *values, 0.0)
    if len(values) != 4 or not (values[1] > values[0] and values[2] > values[3]):
        raise ValueError(wanted)
    return values


def _number(text: str, wanted: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(wanted) from None
    if not np.isfinite(value):
        raise ValueError(wanted)
    return value


AIMS.register(
    "default",
    title="Usual threshold",
    meaning="Of two classes the likelier, which is a threshold of one half; of several labels each by its highest F1.",
    order=10,
)(Aim(default, doubtful=True))
AIMS.register(
    "youden",
    title="Youden's index",
    meaning="The highest sum of sensitivity and specificity (Youden 1950): both kinds of mistake count by their rate.",
    order=20,
)(Aim(youden, example="youden", doubtful=True))
AIMS.register(
    "f1",
    title="F1",
    meaning="The highest F1, which lies at half of itself where probabilities are true (Lipton et al. 2014).",
    order=30,
)(Aim(f1, example="f1", doubtful=True))
AIMS.register(
    "recall",
    title="Recall",
    meaning="The highest specificity at a recall (sensitivity) of at least so much, for new images on average.",
    order=40,
)(Aim(recall, _one_share, "recall=0.95", "recall"))
AIMS.register(
    "precision",
    title="Precision",
    meaning="The highest recall at a precision of at least so much on val (Saito and Rehmsmeier 2015).",
    order=50,
)(Aim(precision, _one_share, "precision=0.9", "precision"))
AIMS.register(
    "specificity",
    title="Specificity",
    meaning="The highest recall (sensitivity) at a specificity of at least so much, for new images on average.",
    order=60,
)(Aim(specificity, _one_share, "specificity=0.95", "specificity"))
AIMS.register(
    "cost",
    title="Lowest cost",
    meaning="The lowest cost, `cost=1:5` for a false positive and a false negative (Elkan 2001).",
    order=70,
)(Aim(cost, _costs, "cost=1:5", priced=True, doubtful=True))
