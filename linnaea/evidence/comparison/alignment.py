"""Many classifiers' predictions brought to the same images, in the same order, with the same order of classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from linnaea.errors import DataError
from linnaea.evidence.comparison.pairing import pair
from linnaea.predictions import Predictions


@dataclass(frozen=True)
class Aligned:
    """Predictions whose rows are about the same images, several of each classifier; and how many each has beside."""

    sides: Mapping[str, Sequence[Predictions]]
    left_out: Mapping[str, int]

    @property
    def first(self) -> Predictions:
        """The first predictions of the first classifier: all have its images, truths and classes."""
        return next(iter(self.sides.values()))[0]


def align(sides: Mapping[str, Sequence[Predictions]]) -> Aligned:
    """Keep the images that all have, in the order of the first.

    Raises DataError as `pair` does: when none is shared, an id occurs twice, or tasks, classes or truths differ.
    """
    names = [(name, number) for name, several in sides.items() for number in range(len(several))]
    said = {key: key[0] if len(sides[key[0]]) == 1 else f"{key[0]} ({key[1] + 1})" for key in names}
    base = sides[names[0][0]][0].loaded()
    if len(names) == 1:
        raise DataError(f"{names[0][0]} is alone: give two or more classifiers to compare.")
    for key in names[1:]:  # what is left for all of them
        base = pair(base, sides[key[0]][key[1]], (said[names[0]], said[key])).a
    kept = {key: base if key == names[0] else _on(base, sides[key[0]][key[1]], said[key]) for key in names}
    together = {name: [kept[(name, number)] for number in range(len(several))] for name, several in sides.items()}
    return Aligned(together, {name: max(len(one) for one in several) - len(base) for name, several in sides.items()})


def _on(base: Predictions, other: Predictions, name: str) -> Predictions:
    return pair(base, other, ("the others", name)).b
