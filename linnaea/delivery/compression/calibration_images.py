"""Images by which the ranges of activations are told: some of train, of every class alike."""

import numpy as np

from linnaea.arrays import Images, Integers, Targets
from linnaea.errors import DataError

MOST = 300
FEW = 16


def calibration_images(images: Images, targets: Targets, seed: int = 0, most: int = MOST) -> Images:
    """At most so many of the images (N, S, S, C), by turns of every class of `targets` (N,) or (N, K).

    Raises DataError where they show a single class: ranges that no other class was seen with would cut off what tells
    the classes apart.
    """
    return images[calibration_rows(targets, seed, most)]


def calibration_rows(targets: Targets, seed: int = 0, most: int = MOST) -> Integers:
    """The rows of such images, in order; raises DataError as `calibration_images` does."""
    draws = np.random.default_rng(seed).permutation(len(targets))
    known = [_of_class(targets, draws, one) for one in range(_classes(targets))]
    present = [rows for rows in known if len(rows)]
    if len(present) < 2:
        raise DataError(
            f"the {len(targets)} images to calibrate by show {len(present)} class: the ranges of activations would fit "
            "that class alone. Give training images of every class."
        )
    turns = [rows[turn] for turn in range(max(map(len, present))) for rows in present if turn < len(rows)]
    return np.sort(np.array(list(dict.fromkeys(turns))[:most], dtype=np.int64))


def few_sentence(images: Images) -> list[str]:
    """A warning where they are too few to tell ranges by."""
    if len(images) >= FEW:
        return []
    return [f"Ranges of activations were told by {len(images)} images alone: more training images make them better."]


def _classes(targets: Targets) -> int:
    return targets.shape[1] if targets.ndim > 1 else int(targets.max(initial=0)) + 1


def _of_class(targets: Targets, draws: Integers, one: int) -> Integers:
    shown = targets[draws] == one if targets.ndim == 1 else targets[draws, one] == 1
    return np.asarray(draws[shown], dtype=np.int64)
