"""Thresholds for a stated aim: from which probability on a label is answered, chosen on val."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from linnaea.errors import UsageError
from linnaea.finding import Finding
from linnaea.registry import Registry

Floats = npt.NDArray[np.floating]
Targets = npt.NDArray[Any]
MARGIN = 1e-5  # what two runtimes may differ by: a picture on a threshold is on its known side
FEW = 5
DOUBT = 5.0
HALF = 0.5
ROUNDING = 1e-9  # 20 * (1 - 0.95) is 1, whatever floating point says
TIE = 1e-9  # less than one image of a hundred million
TASKS_WITH_THRESHOLDS = ("binary", "multilabel")


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
    def of(cls, scores: Floats, truths: Floats, weights: tuple[float, float] = (1.0, 1.0)) -> "Cuts":
        """From scores (n,) in [0, 1] and truths (n,) from 0 to 1."""
        order = np.argsort(-scores, kind="stable")
        ranked, truths = scores[order].astype(np.float64), truths[order].astype(np.float64)
        highest = ranked[0] + 2 * max((1 - ranked[0]) / 2, MARGIN) if len(ranked) else 1.0
        above, below = np.append(highest, ranked), np.append(ranked, 0.0)
        last = np.arange(len(above)) == len(ranked)
        apart = np.flatnonzero((below < above * (1 - 2 * MARGIN)) | last)
        found = weights[1] * np.append(0.0, np.cumsum(truths))
        mistaken = weights[0] * np.append(0.0, np.cumsum(1 - truths))
        middle = (above[apart] + below[apart]) / 2
        return cls(middle, found[apart], mistaken[apart], float(found[-1]), float(mistaken[-1]), weights)

    @property
    def recall(self) -> Floats:
        """Of the positives, the share found (T,); also called sensitivity."""
        return _share(self.found, self.positives)

    @property
    def specificity(self) -> Floats:
        """Of the negatives, the share left alone (T,)."""
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
    return np.divide(part, divisor, out=np.full(part.shape, np.nan), where=divisor > 0)


@dataclass(frozen=True)
class Aim:
    """A member of the family: what makes one threshold better than another.

    `merit(cuts, amounts)` says how good each threshold is (T,), -inf where it misses the aim. `amounts` reads what
    follows the equals sign; None where nothing may. `floor` is the figure of `Cuts` that the amount is a least value
    of. `doubtful` says that where positives are few the merit is taken to be partly what the probabilities promise.
    """

    merit: Callable[[Cuts, tuple[float, ...]], Floats]
    amounts: Callable[[str], tuple[float, ...]] | None = None
    example: str = ""
    floor: str = ""
    doubtful: bool = False


AIMS: Registry[Aim] = Registry("aim")


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
            raise UsageError(f"the aim {name!r} needs a number: such as {aim.example!r}.")
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
    negatives = right_no * (cuts.negatives - cuts.mistaken) + wrong_yes * cuts.mistaken
    return -(negatives + wrong_no * (cuts.positives - cuts.found) + right_yes * cuts.found)


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
    wanted = "the costs of a false positive and a false negative above 0, or all four costs, mistakes the dearer"
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


AIMS.register("default")(Aim(default, doubtful=True))
AIMS.register("youden")(Aim(youden, example="youden", doubtful=True))
AIMS.register("f1")(Aim(f1, example="f1", doubtful=True))
AIMS.register("recall")(Aim(recall, _one_share, "recall=0.95", "recall"))
AIMS.register("precision")(Aim(precision, _one_share, "precision=0.9", "precision"))
AIMS.register("specificity")(Aim(specificity, _one_share, "specificity=0.95", "specificity"))
AIMS.register("cost")(Aim(cost, _costs, "cost=1:5", doubtful=True))


@dataclass(frozen=True)
class Fitted:
    """Thresholds for a policy, the aim they were chosen for, and what is to be said of them."""

    thresholds: tuple[float, ...]
    aim: str
    findings: tuple[Finding, ...] = ()


def require_thresholds(task: str, aim: str | None) -> None:
    """Raise UsageError where an aim is stated for a task whose answers no threshold decides."""
    if aim is not None and Goal.parse(aim).text != "default" and task not in TASKS_WITH_THRESHOLDS:
        raise UsageError(
            f"the aim {aim!r} chooses a threshold, but the task is {task}, whose answers need none: expected two "
            "classes or several labels per image; leave the aim out."
        )


def fit_thresholds(
    probabilities: Floats,
    targets: Targets,
    aim: str | None = None,
    *,
    classes: Sequence[str],
    weights: tuple[float, float] = (1.0, 1.0),
) -> Fitted:
    """Choose the thresholds that serve an aim best on images that the model was not trained on.

    `probabilities` (N, K) are calibrated. Of two classes, with targets (N,), the second is the positive one and gets
    one threshold; none for the aim "default", which is the likelier class. Of several labels, with targets (N, K) of 0,
    1 and NaN, each gets its own over the images where it is known. Where a label has fewer than 5 positives, all such
    labels are pooled for one common threshold; one half remains where there is no positive at all. `weights` are what
    one negative and one positive count. Raises UsageError for an aim that no threshold reaches.
    """
    goal = Goal.parse(aim or "default")
    if targets.ndim == 2:
        if goal.text == "default":
            goal = Goal.parse("f1")
        return _fit(probabilities, targets, classes, goal, weights)
    if goal.text == "default":
        return Fitted((), "")
    return _fit(probabilities[:, 1:], targets[:, None].astype(np.float64), classes[1:], goal, weights)


def _fit(scores: Floats, truths: Floats, names: Sequence[str], goal: Goal, weights: tuple[float, float]) -> Fitted:
    known, positives, negatives = ~np.isnan(truths), (truths == 1).sum(axis=0), (truths == 0).sum(axis=0)
    own = (positives >= (FEW if len(names) > 1 else 1)) & (negatives > 0)
    rows = [
        _choose(scores[known[:, k], k], truths[known[:, k], k], goal, weights, names[k]) if own[k] else {}
        for k in range(len(names))
    ]
    common = _choose_together(scores, truths, known, ~own, goal, weights) if not own.all() else {}
    for k in np.flatnonzero(~own):
        rows[k] = common | {"positives": int(positives[k]), "negatives": int(negatives[k])}
    rows = [{"label": name, **row} for name, row in zip(names, rows, strict=True)]
    findings = [_summary(rows, goal), *_warnings(rows, own, goal)]
    return Fitted(tuple(row["threshold"] for row in rows), goal.text, tuple(findings))


def _choose_together(
    scores: Floats, truths: Floats, known: Targets, few: Targets, goal: Goal, weights: tuple[float, float]
) -> dict[str, Any]:
    """One threshold for the labels with few positives, from them alone or, if too few, from all labels."""
    pool = known & few
    if (truths[pool] == 1).sum() < FEW:
        pool = known
    if not (truths[pool] == 1).any() or not (truths[pool] == 0).any():
        return {"threshold": HALF, "fitted_on": "nothing: one half", "recall": None, "specificity": None}
    row = _choose(scores[pool], truths[pool], goal, weights, "the labels with few positives together")
    return {"threshold": row["threshold"], "fitted_on": "several labels together", "recall": None, "specificity": None}


def _choose(scores: Floats, truths: Floats, goal: Goal, weights: tuple[float, float], name: str) -> dict[str, Any]:
    seen = Cuts.of(scores, truths, weights)
    judged = Cuts.of(scores, _doubted(scores, truths), weights) if goal.aim.doubtful else seen
    merits = goal.aim.merit(judged, goal.amounts)
    best = int(merits.argmax())
    if merits[best] == -np.inf:
        raise _out_of_reach(seen, goal, name, len(scores))
    return {
        "threshold": float(seen.thresholds[best]),
        "fitted_on": "its own positives",
        "recall": float(seen.recall[best]),
        "specificity": float(seen.specificity[best]),
        "precision": None if np.isnan(seen.precision[best]) else float(seen.precision[best]),
        "positives": int((truths == 1).sum()),
        "negatives": int((truths == 0).sum()),
    }


def _doubted(scores: Floats, truths: Floats) -> Floats:
    """Truths mixed with what the probabilities promise, as if that were `DOUBT` more positives.

    The highest of a jagged curve owes much to chance where positives are few.
    """
    share = DOUBT / (DOUBT + float(truths.sum()))
    return (1 - share) * truths + share * scores


def _out_of_reach(cuts: Cuts, goal: Goal, name: str, images: int) -> UsageError:
    reached = np.where(cuts.found > 0, np.nan_to_num(getattr(cuts, goal.aim.floor)), -1.0)
    best = int(reached.argmax())
    return UsageError(
        f"no threshold reaches {goal.text} for {name} on the {images} val images: the best {goal.aim.floor} that still "
        f"finds any is {reached[best]:.3f}, at a threshold of {cuts.thresholds[best]:.4f} (recall "
        f"{cuts.recall[best]:.3f}). Ask for less."
    )


def _summary(rows: Sequence[dict[str, Any]], goal: Goal) -> Finding:
    if len(rows) > 1:
        lowest, highest = (edge(row["threshold"] for row in rows) for edge in (min, max))
        text = f"{len(rows)} labels have thresholds from {lowest:.3f} to {highest:.3f}, for the aim {goal.text}."
    elif rows[0]["recall"] is None:
        text = f"The threshold of {rows[0]['label']} is {rows[0]['threshold']:.3f}."
    else:
        row = rows[0]
        text = (
            f"{row['label']} is answered from a probability of {row['threshold']:.4f} on, for the aim {goal.text}: on "
            f"val this finds {row['recall']:.1%} of {row['positives']} and leaves {row['specificity']:.1%} of "
            f"{row['negatives']} others alone."
        )
    return Finding("thresholds", text, count=sum(row["positives"] for row in rows), rows=rows)


def _warnings(rows: Sequence[dict[str, Any]], own: Targets, goal: Goal) -> list[Finding]:
    absent = [row["label"] for row in rows if not row["positives"]]
    few = [row["label"] for row, fitted in zip(rows, own, strict=True) if not fitted and row["positives"]]
    short = [row["label"] for row in rows if _unassured(row, goal)]
    told = [
        (
            "no_positives",
            absent,
            f"no positive in val: the threshold of {'each' if len(absent) > 1 else 'it'} was not fitted to it",
        ),
        ("few_positives", few, f"fewer than {FEW} positives, or no negative, in val: a common threshold stands in"),
        ("few_for_aim", short, f"too few images in val for {goal.text} to hold on new images too"),
    ]
    return [
        Finding(
            name,
            f"{len(labels)} of {len(rows)} labels ({_listed(labels)}) have {what}.",
            "warning",
            rows=[{"label": label} for label in labels],
        )
        for name, labels, what in told
        if labels
    ]


def _unassured(row: dict[str, Any], goal: Goal) -> bool:
    """Whether less than one of the images that the aim is about may be on the wrong side."""
    counted = {"recall": "positives", "specificity": "negatives"}.get(goal.aim.floor)
    return counted is not None and (row[counted] + 1) * (1 - goal.amounts[0]) < 1 - ROUNDING


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
