"""How fast classifiers answer on this machine, measured in turns so that whatever else runs here slows them alike."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from linnaea.arrays import Floats, Images
from linnaea.classifier import Classifier
from linnaea.runtime.energy import joules_of

ROUNDS, FIRST, QUICK = 30, 3, 15
FED = 10  # batches, by which energy is told
SECONDS = 6.0  # for all rounds of all classifiers together, after which no further begins
TOGETHER = 16  # images


@dataclass(frozen=True)
class Speed:
    """Milliseconds from one decoded image to its answer, and images per second in batches.

    The time is the lower quartile over `rounds`: whatever else runs here makes some of them slower. `lower` and `upper`
    are the tenth percentile and the median.
    """

    milliseconds: float
    lower: float
    upper: float
    images_per_second: float
    rounds: int

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return asdict(self)


def speeds(classifiers: Sequence[Classifier], images: Sequence[Images]) -> list[Speed]:
    """Measure each classifier on its own decoded images (N, S, S, C), one by one and in batches, in turns."""
    single = _in_turns([(one, given[:1]) for one, given in zip(classifiers, images, strict=True)], ROUNDS)
    batches = [(one, _repeated(given)) for one, given in zip(classifiers, images, strict=True)]
    many = _in_turns(batches, max(5, ROUNDS // 6))
    return [_speed(alone, together) for alone, together in zip(single, many, strict=True)]


def _speed(alone: Floats, together: Floats) -> Speed:
    usual, lower, upper = (float(value) for value in 1000 * np.quantile(alone, (0.25, 0.1, 0.5)))
    return Speed(usual, lower, upper, TOGETHER / float(np.quantile(together, 0.25)), len(alone))


def joules_per_image(classifier: Classifier, images: Images) -> float | None:
    """What an image takes in batches, with whatever else runs here; None where the machine does not tell."""
    batch = _repeated(images)
    taken = joules_of(lambda: [classifier.score(batch) for _ in range(FED)])
    return None if taken is None else taken / (FED * len(batch))


def milliseconds_of(classifier: Classifier, images: Images) -> float:
    """The lower quartile of the time from one decoded image to its answer, of a few rounds: for choosing."""
    return 1000 * float(np.quantile(_in_turns([(classifier, images[:1])], QUICK)[0], 0.25))


def _repeated(images: Images) -> Images:
    return np.ascontiguousarray(images[np.arange(TOGETHER) % len(images)])


def _in_turns(given: Sequence[tuple[Classifier, Images]], rounds: int) -> list[Floats]:
    """Seconds (R,) that each took, in each of so many rounds, after some that do not count."""
    taken: list[list[float]] = [[] for _ in given]
    until = time.perf_counter() + SECONDS
    for turn in range(FIRST + rounds):
        if turn > FIRST + 2 and time.perf_counter() > until:
            break
        for place, (classifier, images) in enumerate(given):
            started = time.perf_counter()
            classifier.score(images)
            if turn >= FIRST:
                taken[place].append(time.perf_counter() - started)
    return [np.array(one) for one in taken]
