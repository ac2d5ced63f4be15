"""What a class looks like in training: prototypes, and what they do not stand for."""

import numpy as np

from linnaea.arrays import Integers
from linnaea.evidence.explanation.contract import EXPLAINERS, Example, Examples, Settings
from linnaea.evidence.explanation.examples.mmd_critic import criticisms, prototypes, similarity
from linnaea.evidence.explanation.examples.training import TrainingImages, in_sentences, training_images
from linnaea.evidence.explanation.subject import Subject
from linnaea.runtime.words import counted

COUNT = 4
MOST = 2_000  # images of a class that are compared with each other


@EXPLAINERS.register(
    "prototypes",
    title="Prototypes and criticisms",
    meaning="Images of training that stand for a class together, and those they do not stand for (Kim et al. 2016).",
    kind="picture",
    needs="features",
    training=True,
    order=64,
)
def prototypes_of_classes(subject: Subject, targets: Integers, settings: Settings) -> Examples:
    """A row per class of `samples` (None: 4) prototypes and as many criticisms, by MMD-critic on the features.

    Unlike medoids, the first few prototypes are the same however many are asked for, and what they leave out is found
    by the same measure. Of more than 2,000 images of a class as many are drawn by the seed. Arrays: `prototypes` and
    `criticisms` (C, m), rows in the training split as it is now, -1 for none.
    """
    known, count = training_images(subject), settings.samples or COUNT
    found, said = [_of_class(known, int(target), count, settings.seed) for target in targets], [known.said]
    for target, (_, odd) in zip(targets, found, strict=True):
        name, images = subject.classes[target], int(known.labelled(int(target)).sum())
        if images > MOST:
            said.append(f"{MOST:,} of {images:,} training images of {name} were compared, drawn at random.")
        elif not len(odd):
            said.append(f"{name} has {counted(images, 'training image')}: there are no others to criticise with.")
    rows = tuple((*_shown(known, chosen, "prototype"), *_shown(known, odd, "criticism")) for chosen, odd in found)
    arrays = {
        name: np.stack([_padded(pair[place], count) for pair in found])
        for place, name in enumerate(("prototypes", "criticisms"))
    }
    return Examples(rows, arrays, in_sentences(*said))


def _of_class(known: TrainingImages, target: int, count: int, seed: int) -> tuple[Integers, Integers]:
    """The rows of prototypes and of criticisms of one class; none where no image is left of it."""
    rows = np.flatnonzero(known.labelled(target))
    if not len(rows):
        return rows, rows
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:MOST])
    kernel = similarity(known.features[rows])
    chosen = prototypes(kernel, count)
    return rows[chosen], rows[criticisms(kernel, chosen, count)]


def _shown(known: TrainingImages, rows: Integers, kind: str) -> list[Example]:
    ids = known.dataset.ids
    return [
        Example(picture, f"{kind} of {known.labels[row]}, answered {known.answers[row]}", ids[row])
        for picture, row in zip(known.pictures(rows), rows, strict=True)
    ]


def _padded(rows: Integers, count: int) -> Integers:
    return np.concatenate([rows, np.full(count - len(rows), -1, dtype=np.int64)])
