"""What learning curves say, in words: overfitting, underfitting, a rate that is too high, or that all is well.

Levels are compared only where they are measured alike: the loss and the score on val with those on some training
images as they are (`seen_...`), neither augmented nor mixed nor with smoothed labels. The loss that is minimised
(`train_loss`) is higher for all of these reasons, and only its own course is looked at.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnaea.arrays import Floats
from linnaea.finding import Finding
from linnaea.runtime.words import counted

FEWEST = 4  # epochs
LOST = 0.25  # of what the training loss had gained: more, twice running, and it diverges
RISEN, LEAST_RISE = 0.05, 0.01  # of the lowest loss on val, and at least this much
NOISES = 2.0  # times the noise of a loss
CHOSEN = 4.0  # times that of its lowest, which is low by chance as well
NOISY = 0.15  # of the loss on val: higher noise
LATER = 6  # epochs at least by which its noise is told
TURNING = 0.4  # of the epochs: a course of noise turns at two thirds of them
FALLEN = 0.1  # of the loss on training images, since that on val was lowest
FALLING = 0.03  # of the loss over the last quarter
LEARNED = 0.95  # score on training images: it has learned them
CLOSE, FAR = 0.05, 0.1  # of scores on training images and on val
FEW_IMAGES = 100
MUCH = "stronger --augment, --dropout, a larger --label-smoothing, a smaller network, or more images"
CALMER = "a smaller --lr, a larger --batch-size, or averaged weights (--ema 0.999)"
STEPS, CREPT = 3, 0.01  # the last epochs, in each of which a loss fell, and by so much of it in all: it still falls
ENDED = 0.1  # of its highest: a learning rate below has come to its end
SEARCHED = "another --lr (--find-lr looks for it)"


@dataclass(frozen=True, eq=False)
class Course:
    """A training by epochs: losses (E,) minimised, on `seen` training images as they are, and on val; scores on both.

    `val` is the loss at the best temperature, `raw` that as it is, `rate` (E,) the learning rate. `images` is the
    number of val images; `limited` says that time, not epochs, ended it, `searched` that a range test looked for its
    rate. What was not measured is NaN.
    """

    name: str
    train: Floats
    seen: Floats
    val: Floats
    raw: Floats
    seen_score: Floats
    val_score: Floats
    rate: Floats
    images: int
    limited: bool
    searched: bool

    @classmethod
    def of(cls, name: str, rows: Sequence[Mapping[str, Any]], images: int, limited: bool, searched: bool) -> "Course":
        """From the rows of a history."""
        scores = [column for column in (rows[0] if rows else ()) if column.startswith("val_") and "loss" not in column]
        score = scores[0].removeprefix("val_") if scores else ""
        raw, val = (_column(rows, column) for column in ("val_loss", "val_loss_calibrated"))
        return cls(
            name,
            _column(rows, "train_loss"),
            _column(rows, "seen_loss"),
            np.where(np.isnan(val), raw, val),
            raw,
            _column(rows, f"seen_{score}"),
            _column(rows, f"val_{score}"),
            _column(rows, "learning_rate"),
            images,
            limited,
            searched,
        )

    @property
    def learned(self) -> Floats:
        """The loss on training images: as they are where that was measured, else the one that is minimised."""
        return self.train if np.isnan(self.seen).any() else self.seen

    @property
    def best(self) -> int:
        """The epoch with the lowest loss on val, counted from 0."""
        return int(np.nanargmin(self.val))


def diagnose(
    name: str, rows: Sequence[Mapping[str, Any]], *, images: int, limited: bool = False, searched: bool = False
) -> Finding:
    """What the rows of a training say, with what may mend it; `images` is the number of val images, `searched` says
    that a range test looked for the rate.

    The first that applies: it diverges (the training loss of the last two epochs is higher than its lowest by over a
    quarter of what it had gained); it overfits (the loss on val has risen from its lowest, by over a twentieth and by
    four times its noise, while that on training images fell by a tenth); it is noisy (the noise of the loss on val, by
    its second differences, is over 15 % of it, and it turns at two epochs of five); it underfits (fewer than 95 % of
    the training images and of val are right, those no more than chance allows above these: both losses still fall, that
    on val slowly, or hardly any more); it knows its training images far better than others; it grows too
    sure (as overfitting, but not at the best temperature). Else there is nothing to do.
    """
    course = Course.of(name, rows, images, limited, searched)
    if len(rows) < FEWEST:
        epochs = counted(len(rows), "epoch is", "epochs are")
        few = f"{name}: {epochs} too few to say how it learns; {FEWEST} or more are needed."
        return Finding("short", few, rows=[_facts(course)])
    lost = int(np.isnan([course.train, course.val]).any(axis=0).sum())
    if lost:
        gap = f"{name}: {lost} of {len(rows)} epochs have no loss that is a number; how it learns cannot be said."
        return Finding("unmeasured", gap, rows=[_facts(course)])
    for judge in JUDGES:
        found = judge(course)
        if found is not None:
            kind, severity, sentence = found
            return Finding(kind, f"{name} {sentence}", severity, rows=[_facts(course)])
    return Finding("sound", f"{name} learned soundly: nothing to do.", rows=[_facts(course)])


Told = tuple[str, str, str]  # the kind, the severity, and the sentence that follows the name


def _diverging(course: Course) -> Told | None:
    lowest, end = float(course.train.min()), float(course.train[-2:].min())
    gained = float(course.train[0]) - lowest
    if end - lowest <= max(LOST * gained, RISEN * abs(lowest)):
        return None
    return (
        "diverging",
        "warning",
        f"diverges: its training loss rose from {lowest:.3g} to {course.train[-1]:.3g}. What may help: a smaller "
        "--lr, a longer --warmup, or --clip-norm 1.",
    )


def _overfitting(course: Course) -> Told | None:
    if not _rises(course, course.val):
        return None
    best, learned = course.best, course.learned
    return (
        "overfitting",
        "warning",
        f"overfits: its loss on val fell to {course.val[best]:.3g} in epoch {best + 1} and rose to "
        f"{course.val[-1]:.3g} by epoch {len(course.val)}, while that on training images went on falling, from "
        f"{learned[best]:.3g} to {learned[-1]:.3g}. Later weights than those of epoch {best + 1} are not kept. What "
        f"may help: {MUCH}.",
    )


def _rises(course: Course, losses: Floats) -> bool:
    """Whether a loss has risen since its lowest, while that on training images fell."""
    best, learned = int(np.argmin(losses)), course.learned
    if len(losses) - 1 - best < 2 or learned[-1] > (1 - FALLEN) * learned[best]:
        return False
    lowest = float(losses[best])
    return float(losses[-2:].mean()) - lowest > max(RISEN * abs(lowest), LEAST_RISE, CHOSEN * noise_of(losses))


def _noisy(course: Course) -> Told | None:
    later = course.val[-max(LATER, len(course.val) // 2) :]
    if len(later) < LATER:
        return None
    noise, usual = noise_of(later), float(np.median(later))
    if noise <= max(NOISY * usual, LEAST_RISE) or _turning(later) < TURNING:
        return None
    few = f" Val has only {course.images} images, which makes it jump." if course.images < FEW_IMAGES else ""
    return (
        "noisy",
        "warning",
        f"learns unsteadily: from epoch to epoch its loss on val jumps by about {noise:.2g}, at {usual:.3g}.{few} What "
        f"may help: {CALMER}.",
    )


def _turning(values: Floats) -> float:
    """The share of inner points at which a course turns: two thirds of independent noise, none of a smooth curve."""
    steps = np.diff(values)
    return float((steps[1:] * steps[:-1] < 0).mean())


def _underfitting(course: Course) -> Told | None:
    seen, val = float(course.seen_score[-1]), float(course.val_score[-1])
    measured = math.isfinite(seen)
    if max(seen if measured else val, val) >= LEARNED or (
        measured and seen - val > max(CLOSE, _chance(seen, val, course))
    ):
        return None
    figures = f"{seen:.1%} on training images and {val:.1%} on val" if measured else f"{val:.1%} on val"
    more = "a longer --time-limit" if course.limited else "more --epochs"
    if _falls(course.val) and _falls(course.learned):
        return (
            "unfinished",
            "warning",
            f"underfits: with a score of {figures}, both losses were still falling when it ended. What may help: "
            f"{more}.",
        )
    if not measured or _falls(course.val):
        return None
    stronger = f"a larger network, {'another --lr' if course.searched else SEARCHED}, or weaker --augment and --dropout"
    if _creeps(course.val) or _creeps(course.raw):
        slowly = ", ever more slowly as the learning rate came to its end" if _ended(course) else ", but slowly"
        return (
            "unfinished",
            "warning",
            f"underfits: its score is only {figures}. Its loss on val still fell in each of the last {STEPS} "
            f"epochs{slowly}. What may help: {more}; where they do not, {stronger}.",
        )
    longer = f"{more}, for the learning rate had come to its end; " if _stopped_by_rate(course) else ""
    return (
        "underfitting",
        "warning",
        f"underfits: its score is only {figures}, and its loss on val hardly fell any further at the end. What may "
        f"help: {longer}{stronger}; or the classes cannot be told apart in these images.",
    )


def _creeps(losses: Floats) -> bool:
    """Whether a loss fell in each of its last epochs, to its lowest, by little but not by nothing."""
    last = losses[-STEPS - 1 :]
    return bool((np.diff(last) < 0).all()) and last[-1] == losses.min() and last[0] - last[-1] > CREPT * abs(last[0])


def _ended(course: Course) -> bool:
    """Whether the learning rate had come to its end; False where it is not known."""
    return bool(course.rate[-1] < ENDED * course.rate.max())


def _stopped_by_rate(course: Course) -> bool:
    """Whether the loss on val still fell while the learning rate was high, and stopped as that came to its end."""
    if not _ended(course):
        return False
    high = int(np.flatnonzero(course.rate >= course.rate.max() / 2)[-1]) + 1
    return high >= FEWEST and _falls(course.val[:high])


def _falls(losses: Floats) -> bool:
    """Whether a loss fell over its last quarter, by more than its noise, and was lowest in the end."""
    tail, end = max(2, len(losses) // 4), float(losses[-1])
    fall = float(losses[-tail - 1]) - end
    if len(losses) - 1 - int(np.argmin(losses)) >= 2:
        return False
    return fall > max(FALLING * abs(float(losses[-tail - 1])), NOISES * noise_of(losses[-2 * tail - 1 :]))


def _chance(seen: float, val: float, course: Course) -> float:
    """How far two scores of as many images differ by chance: two standard errors."""
    return NOISES * math.sqrt((seen * (1 - seen) + val * (1 - val)) / max(1, course.images))


def _far_apart(course: Course) -> Told | None:
    seen, val = float(course.seen_score[course.best]), float(course.val_score[course.best])
    if not (math.isfinite(seen) and seen - val > max(FAR, _chance(seen, val, course))):
        return None
    return (
        "memorising",
        "info",
        f"knows its training images far better than others: its score is {seen:.1%} on them and {val:.1%} on val. "
        f"What may help: {MUCH}.",
    )


def _too_sure(course: Course) -> Told | None:
    if np.isnan(course.raw).any() or not _rises(course, course.raw):
        return None
    return (
        "too_sure",
        "info",
        f"grows surer than it is right: its loss on val rose from {course.raw.min():.3g} to {course.raw[-1]:.3g}, but "
        "not at the best temperature, which calibration finds. There is nothing to do.",
    )


JUDGES: tuple[Callable[[Course], Told | None], ...] = (
    _diverging,
    _overfitting,
    _noisy,
    _underfitting,
    _far_apart,
    _too_sure,
)


def noise_of(values: Floats) -> float:
    """The standard deviation of independent noise on a smooth course (E,): the median of its second differences."""
    if len(values) < FEWEST:
        return 0.0
    return float(np.median(np.abs(np.diff(values, 2)))) / (0.6745 * math.sqrt(6))


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> Floats:
    return np.array([_number(row.get(name)) for row in rows], dtype=np.float64)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _facts(course: Course) -> dict[str, Any]:
    """What the sentence rests on, for the table."""
    last = {
        "training_loss": course.train,
        "loss_on_training_images": course.seen,
        "val_loss": course.raw,
        "score_on_training_images": course.seen_score,
        "val_score": course.val_score,
    }
    known = {name: float(values[-1]) for name, values in last.items() if len(values) and math.isfinite(values[-1])}
    best = {"best_epoch": course.best + 1} if len(course.val) and not np.isnan(course.val).all() else {}
    return {"network": course.name, "epochs": len(course.val), **best, **known}
