"""Other images that explain one: the nearest of training, and the nearest that speak for another answer."""

from collections.abc import Callable

import numpy as np

from linnaea.arrays import Array, Flags, Images, Integers
from linnaea.evidence.explanation.contract import EXPLAINERS, Example, Examples, Settings
from linnaea.evidence.explanation.examples.neighbours import Neighbours, nearest
from linnaea.evidence.explanation.examples.training import (
    TrainingImages,
    as_images,
    embedded,
    in_sentences,
    training_images,
)
from linnaea.evidence.explanation.subject import Subject

COUNT = 5


@EXPLAINERS.register(
    "nearest",
    title="Nearest training examples",
    meaning="The images of training that look most like it to the classifier, and how those were labelled.",
    kind="examples",
    needs="features",
    training=True,
    order=60,
)
def nearest_examples(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Examples:
    """Rows of the `samples` (None: 5) training images nearest by the cosine of the features, the nearest first.

    Arrays: `rows` (N, k) in the training split as it is now, `distances` (N, k), and whether the label `agrees` (N, k).
    """
    known, images = training_images(subject), as_images(pixels)
    found = nearest(embedded(subject, images), known.features, min(settings.samples or COUNT, len(known)))
    agrees = np.stack([known.labelled(int(target))[row] for target, row in zip(targets, found.rows, strict=True)])
    rows = [_shown(subject, known, *of_one) for of_one in zip(images, targets, *found, strict=True)]
    arrays = {"rows": found.rows, "distances": found.distances, "agrees": agrees}
    return Examples(tuple(rows), arrays, in_sentences(known.said))


@EXPLAINERS.register(
    "counter_examples",
    title="Counter-examples",
    meaning="The nearest image of training that was labelled otherwise, and the nearest that is answered otherwise.",
    kind="examples",
    needs="features",
    training=True,
    order=62,
)
def counter_examples(subject: Subject, pixels: Array, targets: Integers, settings: Settings) -> Examples:
    """Rows of two: the nearest training image of another label, and the nearest that the classifier answers otherwise.

    Where they are the same it is shown once, and where there is none, that is said. Arrays: `rows` (N, 2), -1 for none,
    and `distances` (N, 2).
    """
    known, images = training_images(subject), as_images(pixels)
    features = embedded(subject, images)
    labelled = nearest(features, known.features, 1, _each(targets, lambda target: ~known.labelled(target)))
    answered = nearest(features, known.features, 1, _each(targets, lambda target: ~known.answered(target)))
    found = Neighbours(*(np.concatenate(both, axis=1) for both in zip(labelled, answered, strict=True)))
    rows = [_shown(subject, known, *of_one, answers=True) for of_one in zip(images, targets, *found, strict=True)]
    lacking = [
        f"No training image {how} otherwise than {subject.classes[target]}."
        for how, column in (("is labelled", 0), ("is answered", 1))
        for target in np.unique(targets[found.rows[:, column] < 0])
    ]
    return Examples(tuple(rows), found._asdict(), in_sentences(*lacking, known.said))


def _each(targets: Integers, flags: Callable[[int], Flags]) -> Flags:
    return np.stack([flags(int(target)) for target in targets])


def _shown(
    subject: Subject,
    known: TrainingImages,
    image: Images,
    target: int,
    rows: Integers,
    distances: Array,
    *,
    answers: bool = False,
) -> tuple[Example, ...]:
    """The examples of one image; where `answers`, with what the classifier says of them."""
    there = {int(row): float(distance) for row, distance in zip(rows, distances, strict=True) if row >= 0}.items()
    pictures = known.pictures([row for row, _ in there])
    agreeing, ids = known.labelled(int(target)), known.dataset.ids
    shown = []
    for picture, (row, distance) in zip(pictures, there, strict=True):
        same = " (the image itself)" if np.array_equal(picture, image) else ""
        wrong = "" if agreeing[row] else f", not {subject.classes[target]}"
        answered = f", answered {known.answers[row]}" if answers else wrong
        shown.append(Example(picture, f"labelled {known.labels[row]}{answered}: {distance:.3f} away{same}", ids[row]))
    return tuple(shown)
