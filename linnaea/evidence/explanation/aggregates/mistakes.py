"""Where wrong answers look, compared with right ones of the same class."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from linnaea.arrays import Flags, Floats, Integers
from linnaea.errors import UsageError
from linnaea.evidence.explanation.aggregates.places import (
    MOST_CLASSES,
    PLACES,
    Focus,
    enough_permutations,
    focus_of,
    mass_by_place,
    mean_map,
)
from linnaea.finding import Finding
from linnaea.statistics.association import holm

FEWEST = 5  # images on either side
LEVEL = 0.05
HALF = 0.5  # of the mistakes must look there
MOST_IMAGES = 12


@dataclass(frozen=True)
class Answered:
    """Maps (N, H, W) for the class that was answered of each image (N,), with the true class (N,), -1 where unknown.

    `classes` are the names of the K classes, `ids` those of the images.
    """

    maps: Floats
    answers: Integers
    truth: Integers
    classes: Sequence[str]
    ids: Sequence[str] = ()
    seed: int = 0
    mass: Floats = field(init=False)

    def __post_init__(self) -> None:
        if not len(self.maps) == len(self.answers) == len(self.truth):
            lengths = f"{len(self.maps)} maps, {len(self.answers)} answers and {len(self.truth)} true classes"
            raise UsageError(f"there are {lengths}; expected one of each per image.")
        object.__setattr__(self, "mass", mass_by_place(self.maps))

    @property
    def seen(self) -> Flags:
        """The images (N,) with a true class and a map that points somewhere."""
        return np.asarray((self.truth >= 0) & ~np.isnan(self.mass).any(axis=1))

    @property
    def right(self) -> Flags:
        """Those of them (N,) that are answered correctly."""
        return np.asarray(self.seen & (self.answers == self.truth))

    @property
    def wrong(self) -> Flags:
        """Those of them (N,) that are not."""
        return np.asarray(self.seen & (self.answers != self.truth))

    def named(self, flags: Flags) -> list[str]:
        """The first images of those (N,)."""
        return [str(self.ids[row]) for row in np.flatnonzero(flags)[:MOST_IMAGES]] if len(self.ids) else []


def where_mistakes_look(answered: Answered) -> Finding | None:
    """Places at which the false positives of a class look more than its right answers; None without any mistake.

    For every class with five of both. The p-values allow for nine places and, by Holm's method, for the classes. A
    place is named where the adjusted p-value is below 0.05 and at least half of the mistakes look there.
    """
    if not answered.wrong.any():
        return None
    wrong, right = (
        np.bincount(answered.answers[flags], minlength=len(answered.classes))
        for flags in (answered.wrong, answered.right)
    )
    judged = _most(np.minimum(wrong, right), wrong)
    draws = enough_permutations(len(judged), LEVEL)
    found = [_focus(answered, number, draws) for number in judged]
    adjusted = holm([focus.p for focus in found])
    rows = [_row(answered, number, focus, p) for number, focus, p in zip(judged, found, adjusted, strict=True)]
    named = [row for row in rows if row["p"] < LEVEL and row["looking"] >= HALF * row["false_positives"]]
    for row in rows:
        row["named"] = row in named
    return _told(answered, rows, named)


def _most(least: Integers, wrong: Integers) -> list[int]:
    """The classes with enough of both kinds, the 40 with most mistakes at most."""
    enough = [number for number in np.argsort(-wrong, kind="stable").tolist() if least[number] >= FEWEST]
    return enough[:MOST_CLASSES]


def _focus(answered: Answered, number: int, draws: int) -> Focus:
    own = answered.seen & (answered.answers == number)
    places = range(len(PLACES))
    return focus_of(answered.mass[own], answered.wrong[own], places, permutations=draws, seed=answered.seed)


def _row(answered: Answered, number: int, focus: Focus, p: float) -> dict[str, Any]:
    own = answered.answers == number
    return {
        "class": answered.classes[number],
        "place": PLACES[focus.place],
        "looking": focus.looking,
        "false_positives": focus.n,
        "right_looking": focus.others_looking,
        "right_answers": focus.others,
        "p": round(p, 5),
        "mean_map_false_positives": mean_map(answered.maps[own & answered.wrong]),
        "mean_map_right_answers": mean_map(answered.maps[own & answered.right]),
    }


def _told(answered: Answered, rows: list[dict[str, Any]], named: list[dict[str, Any]]) -> Finding:
    wrong = answered.wrong
    if not rows:
        summary = (
            f"Where mistakes look is not compared: no class has {FEWEST} false positives and {FEWEST} right answers "
            "among these images."
        )
        return Finding("explanation_mistakes", summary, count=int(wrong.sum()), images=answered.named(wrong))
    if not named:
        summary = (
            f"In {len(rows)} classes with enough of both, mistakes look where right answers look, as far as is seen."
        )
        return Finding("explanation_mistakes", summary, count=int(wrong.sum()), rows=rows)
    parts = [
        f"of {row['false_positives']} false positives of {row['class']!r}, {row['looking']} look at the "
        f"{row['place']}, and of {row['right_answers']} right answers {row['right_looking']}"
        for row in named
    ]
    sentence = "; ".join(parts)
    first = answered.classes.index(named[0]["class"])
    return Finding(
        "explanation_mistakes",
        f"{sentence[0].upper()}{sentence[1:]}.",
        severity="warning",
        count=sum(row["false_positives"] for row in named),
        rows=sorted(rows, key=lambda row: row["p"]),
        images=answered.named(wrong & (answered.answers == first)),
    )
