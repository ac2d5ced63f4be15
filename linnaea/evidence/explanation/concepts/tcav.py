"""Whether a class depends on a concept that people have a word for: TCAV (Kim et al. 2018)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from linnaea.arrays import Float32, Float64, Images, Integers
from linnaea.data.images.pixels import Decoded, decode_files
from linnaea.errors import DataError
from linnaea.evidence.explanation.concepts.directions import (
    Sensitivity,
    chance_directions,
    directions,
    sensitivity,
    told_apart,
)
from linnaea.evidence.explanation.concepts.places import place_for
from linnaea.evidence.explanation.contract import EXPLAINERS, Example, Examples, Settings
from linnaea.evidence.explanation.examples.training import in_sentences
from linnaea.evidence.explanation.running import require_training
from linnaea.evidence.explanation.subject import Subject
from linnaea.finding import Finding
from linnaea.runtime.containers import Located
from linnaea.runtime.words import counted
from linnaea.statistics.association import holm

FEWEST = 10  # pictures of a concept
MOST = 60  # pictures of a concept in one draw
POOL = 400  # images of chance, at the most
OF_CLASS = 40  # training images of a class whose gradients are looked at
DRAWS, REPEATS = 30, 5  # random concepts, and counterparts of each
TOLD_APART = 0.6  # of the images, at the least, for there to be a direction
LEVEL = 0.05
SHOWN = 4


class Sought(NamedTuple):
    """What was found of a concept: its pictures, how well it is told apart, and the sensitivity of each class."""

    pictures: Images
    accuracy: float
    classes: tuple[Sensitivity, ...]
    corrected: Sequence[float]

    def claims(self, row: int) -> bool:
        """Whether it may be claimed that the class depends on it."""
        return self.accuracy >= TOLD_APART and self.corrected[row] < LEVEL


@EXPLAINERS.register(
    "tcav",
    title="Concepts (TCAV)",
    meaning="Whether more of a concept, shown by a folder of pictures, speaks for a class (Kim et al. 2018).",
    kind="picture",
    needs="features",
    training=True,
    asks="concept",
    takes=("concept", "against"),
    order=72,
)
def tcav(subject: Subject, targets: Integers, settings: Settings) -> Examples:
    """A row per class: pictures of the concept, and the training images of the class that it moves most.

    Concepts are directions at a layer, from as many counterparts, drawn five times, to the concept's pictures;
    `samples` (None: 30) sets of random counterparts are taken for concepts in the same way, and a class is said to
    depend on the concept only where its score changes by more than theirs, by a t test corrected for the number of
    classes (Holm), and where a linear classifier tells the concept apart. Arrays: `scores` (C, 4), the TCAV score, the
    mean change, p and the corrected p, and `accuracy` (1,), the share of pictures told apart that were left out. Raises
    DataError for too few pictures.
    """
    place = place_for(subject, settings.layer)
    require_training(subject)
    random = np.random.default_rng(settings.seed)
    concept, chance, said = _pictures(subject, settings, random)
    own, counterparts = place.activations(concept), place.activations(chance)
    images = [_of_class(subject, int(target), random) for target in targets]
    gradients = [place.gradients(of_class, int(target)) for (of_class, _), target in zip(images, targets, strict=True)]
    sought = _sought(concept, own, counterparts, gradients, settings.samples or DRAWS, random)
    rows = []
    for row in range(len(targets)):
        rows.append((*_shown_concept(concept), *_shown_class(images[row], gradients[row], own, counterparts)))
    scores = [[*one, corrected] for one, corrected in zip(sought.classes, sought.corrected, strict=True)]
    arrays = {"scores": np.array(scores), "accuracy": np.array([sought.accuracy])}
    told = f"Looked at {place.name}: {sought.accuracy:.0%} of pictures are told apart."
    finding = _finding([subject.classes[target] for target in targets], sought)
    return Examples(tuple(rows), arrays, in_sentences(told, *said), (finding,))


def _pictures(subject: Subject, settings: Settings, random: np.random.Generator) -> tuple[Images, Images, list[str]]:
    """The concept's pictures and those of chance, decoded; raises DataError where there are too few."""
    if settings.against is None:
        training = require_training(subject)
        drawn = random.permutation(len(training))[:POOL]
        places, whose = training.take(drawn.tolist()).paths, "training images"
    else:
        places, whose = list(settings.against), "pictures against it"
    concept, unread = _decoded(subject, settings.concept, "the concept")
    chance, unread_too = _decoded(subject, places, whose)
    own = set(concept.sha256)
    others = [row for row, digest in enumerate(chance.sha256) if digest not in own]
    said = [*unread, *unread_too]
    if len(others) < len(chance.sha256):
        same = counted(len(chance.sha256) - len(others), "file")
        said.append(f"{same} of {whose} are pictures of the concept, and left out of what it is compared with.")
    _require_enough(len(concept.sha256), FEWEST, "pictures of the concept")
    _require_enough(len(others), 2 * FEWEST, f"{whose} to compare them with")
    return np.asarray(concept.images), np.asarray(chance.images)[others], said


def _require_enough(given: int, least: int, what: str) -> None:
    if given < least:
        raise DataError(
            f"there are {given} {what}; expected at least {least}, to tell what they have in common from chance."
        )


def _decoded(subject: Subject, places: Sequence[Located], whose: str) -> tuple[Decoded, list[str]]:
    """Those that can be read, and how many cannot."""
    decoded = decode_files(places, subject.classifier.recipe, keep=False)
    told = [f"{counted(len(decoded.failed), 'file')} of {whose} cannot be read."] if decoded.failed else []
    return decoded.kept(), told


def _of_class(subject: Subject, target: int, random: np.random.Generator) -> tuple[Images, list[str]]:
    """Some training images of a class and their paths; raises DataError where none can be read."""
    dataset, name = require_training(subject), subject.classes[target]
    wanted = np.array([row for row, names in enumerate(dataset.label_lists) if name in names], dtype=np.int64)
    dataset = dataset.take(random.permutation(wanted)[:OF_CLASS].tolist())
    decoded = decode_files(dataset.paths, subject.classifier.recipe, keep=False)
    if len(decoded.failed) == len(dataset):
        raise DataError(f"no training image of {name} can be read: its dependence on a concept cannot be known.")
    return np.asarray(decoded.kept().images), [
        path for row, path in enumerate(dataset.ids) if row not in decoded.failed
    ]


def _sought(
    pictures: Images,
    own: Float32,
    others: Float32,
    gradients: Sequence[Float64],
    draws: int,
    random: np.random.Generator,
) -> Sought:
    """The concept's directions and those of chance, and what each class makes of them."""
    size = min(len(own), len(others) // 2, MOST)
    vectors = directions(own, others, size, REPEATS, random)
    chance = chance_directions(others, size, draws, REPEATS, random)
    classes = tuple(sensitivity(one, vectors, chance) for one in gradients)
    accuracy = told_apart(own[:size], random.permutation(others)[:size])
    return Sought(pictures, accuracy, classes, holm([one.p for one in classes]))


def _sentence(name: str, sought: Sought, row: int) -> str:
    """What may be said of a class."""
    found, p = sought.classes[row], sought.corrected[row]
    if sought.accuracy < TOLD_APART:
        return f"{name}: nothing can be claimed, for the concept cannot be told from other pictures."
    if not sought.claims(row):
        return f"{name}: no more dependence on the concept than on sets of random pictures (p = {p:.2g})."
    way = "for" if found.value > 0 else "against"
    return f"{name}: more of the concept speaks {way} it (TCAV score {found.share:.2f}, p = {p:.2g})."


def _finding(names: Sequence[str], sought: Sought) -> Finding:
    """What may be said of each class, with the figures behind it."""
    summary = " ".join(_sentence(name, sought, row) for row, name in enumerate(names))
    rows = [
        {
            "class": name,
            "tcav score": round(one.share, 3),
            "change of score": float(f"{one.value:.4g}"),
            "p": float(f"{one.p:.3g}"),
            "p, corrected": float(f"{corrected:.3g}"),
        }
        for name, one, corrected in zip(names, sought.classes, sought.corrected, strict=True)
    ]
    return Finding("concept", summary, count=len(sought.pictures), rows=rows)


def _shown_concept(concept: Images) -> list[Example]:
    return [Example(picture, "the concept") for picture in concept[:SHOWN]]


def _shown_class(images: tuple[Images, list[str]], gradients: Float64, own: Float32, others: Float32) -> list[Example]:
    """The training images of a class whose score more of the concept raises most, the first one first."""
    along = gradients @ (own.mean(axis=0) - others.mean(axis=0))
    pictures, paths = images
    return [
        Example(
            pictures[row],
            f"raised by {along[row]:.3g}" if along[row] > 0 else f"lowered by {-along[row]:.3g}",
            paths[row],
        )
        for row in np.argsort(-along, kind="stable")[:SHOWN]
    ]
