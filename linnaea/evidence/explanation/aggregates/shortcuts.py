"""Shortcuts: a place beside the subject at which the images of a class look."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from linnaea.arrays import Array, Flags, Floats, Images
from linnaea.evidence.explanation.aggregates.mistakes import Answered
from linnaea.evidence.explanation.aggregates.places import (
    ALONG,
    CENTRE,
    MOST_CLASSES,
    PLACES,
    Focus,
    enough_permutations,
    focus_of,
    mean_map,
)
from linnaea.evidence.explanation.black_box.covering import covered
from linnaea.evidence.explanation.black_box.regions import squares
from linnaea.evidence.explanation.checks.means import BOTH_SIGNS, mean_of
from linnaea.finding import Estimate, Finding
from linnaea.runtime.words import counted
from linnaea.statistics.association import holm

FEWEST = 8
LEVEL = 0.01
WORTH_SAYING = 0.1  # by which the probability must fall
HALF, OTHERS = 0.5, 0.25  # of the class must look there, and not more of the others
BESIDE = tuple(place for place in range(len(PLACES)) if place != CENTRE)
AT_ONCE = 32
Answer = Callable[[Array], Floats]


def where_classes_look(
    answered: Answered, images: Images | None = None, answer: Answer | None = None
) -> Finding | None:
    """Places beside the centre at which the right answers of one class look, and those of the others do not.

    Also where surely more than half of a class look at one such place, whatever the others do: of two classes, one may
    be known by a mark and the other by its absence. For every class with eight right answers, and eight of other
    classes; None where there is no such class. The p-values allow for places, both questions and (Holm) classes, and
    must lie below 0.01. Given `images` (N, H, W, C) and an `answer`, the place is covered, and so is the one opposite:
    where that takes no more away, it is no warning.
    """
    right = answered.right
    sizes = np.bincount(answered.truth[right], minlength=len(answered.classes))
    judged = [
        number
        for number in np.argsort(-sizes, kind="stable").tolist()
        if sizes[number] >= FEWEST and right.sum() - sizes[number] >= FEWEST
    ][:MOST_CLASSES]
    if not judged:
        return None
    draws = enough_permutations(len(judged), LEVEL)
    found = [_focus(answered, number, draws) for number in judged]
    adjusted = holm([focus.p for focus in found])
    rows = [_row(answered, number, focus, p) for number, focus, p in zip(judged, found, adjusted, strict=True)]
    for row, focus, number in zip(rows, found, judged, strict=True):
        row["named"] = row["p"] < LEVEL and focus.share >= HALF
        if row["named"] and images is not None and answer is not None:
            looking = right & (answered.truth == number) & (answered.mass.argmax(axis=1) == focus.place)
            row |= without(answer, images[looking], number, focus.place)
    return _told(answered, rows)


def _focus(answered: Answered, number: int, draws: int) -> Focus:
    """The place at which the class looks, and the others do not or, where that is surer, at which most of it looks."""
    right = answered.right
    own = answered.truth[right] == number
    apart = focus_of(answered.mass[right], own, BESIDE, permutations=draws, seed=answered.seed)
    if apart.others_share > OTHERS:
        apart = replace(apart, p=1.0)
    most = _most_looked_at(answered.mass[right], own)
    surest = min(apart, most, key=lambda focus: focus.p)
    return replace(surest, p=min(1.0, 2 * surest.p))


def _most_looked_at(mass: Floats, own: Flags) -> Focus:
    """The place beside the centre at which most of a class look; p that half of it or less would (binomial)."""
    from scipy.stats import binomtest

    places = mass.argmax(axis=1)
    count = np.bincount(places[own], minlength=len(PLACES))
    place = max(BESIDE, key=lambda one: int(count[one]))
    p = binomtest(int(count[place]), int(own.sum()), HALF, alternative="greater").pvalue
    more = float(mass[own, place].mean() - mass[~own, place].mean())
    others = int((places[~own] == place).sum())
    return Focus(place, int(count[place]), int(own.sum()), others, int((~own).sum()), more, min(1.0, len(BESIDE) * p))


def _row(answered: Answered, number: int, focus: Focus, p: float) -> dict[str, Any]:
    own = answered.right & (answered.truth == number)
    return {
        "class": answered.classes[number],
        "place": PLACES[focus.place],
        "looking": focus.looking,
        "right_answers": focus.n,
        "others_looking": focus.others_looking,
        "others": focus.others,
        "p": round(float(p), 5),
        "mean_map_right_answers": mean_map(answered.maps[own]),
        "mean_map_others": mean_map(answered.maps[answered.right & ~own]),
    }


def without(answer: Answer, images: Images, number: int, place: int) -> dict[str, Any]:
    """How far the probability of a class falls when a place is covered, less than when the opposite one is.

    With the number of images whose answer is no longer that class, of either.
    """
    before = _said(answer, images)
    own, other = (_said(answer, _hidden(images, each)) for each in (place, len(PLACES) - 1 - place))
    told = mean_of((other - own)[:, number], BOTH_SIGNS)
    kept = before.argmax(axis=1) == number
    return {
        "covered": len(images),
        "changed": int((kept & (own.argmax(axis=1) != number)).sum()),
        "changed_opposite": int((kept & (other.argmax(axis=1) != number)).sum()),
        "fall": told.value,
        "fall_lo": told.lo,
        "fall_hi": told.hi,
    }


def _hidden(images: Images, place: int) -> Images:
    regions = squares(images.shape[1:3], ALONG**2)
    keep = (regions != place).astype(np.float32)[None]
    return np.concatenate([covered(image, keep) for image in images])


def _said(answer: Answer, images: Images) -> Floats:
    starts = range(0, len(images), AT_ONCE)
    return np.concatenate([answer(images[start : start + AT_ONCE]) for start in starts])


def _told(answered: Answered, rows: list[dict[str, Any]]) -> Finding:
    rows = sorted(rows, key=lambda row: row["p"])
    named = [row for row in rows if row["named"]]
    if not named:
        summary = (
            f"No place beside the centre is seen at which one of {counted(len(rows), 'class', 'classes')} looks, and "
            "the others do not."
        )
        return Finding("explanation_shortcuts", summary, count=int(answered.right.sum()), rows=rows)
    grave = [row for row in named if _matters(row)]
    first = max(grave or named, key=lambda row: row.get("fall") or 0.0)
    summary = (
        f"{first['looking']} of {first['right_answers']} right answers {first['class']!r} look at the "
        f"{first['place']}, and {first['others_looking']} of {first['others']} of other classes.{_of_covering(first)} "
        "Something there may stand for the class, such as a mark, a ruler or a background: look at the images, and "
        "take it away in training."
    )
    return Finding(
        "explanation_shortcuts",
        summary,
        severity="warning" if grave else "info",
        count=first["right_answers"],
        figure=_figure(first),
        rows=rows,
        images=answered.named(answered.right & (answered.truth == answered.classes.index(first["class"]))),
    )


def _figure(row: dict[str, Any]) -> Estimate | None:
    """How far the probability falls as the place is covered, where that was tried."""
    if "fall" not in row:
        return None
    return Estimate(row["fall"], row["fall_lo"], row["fall_hi"], row["covered"], "jackknife")


def _matters(row: dict[str, Any]) -> bool:
    """Whether covering the place takes more away than covering the opposite one, where that was tried."""
    return "fall" not in row or ((row["fall_lo"] or 0.0) > 0 and row["fall"] >= WORTH_SAYING)


def _of_covering(row: dict[str, Any]) -> str:
    if "fall" not in row:
        return ""
    return (
        f" Covering that place changes {row['changed']} of {row['covered']} of these answers, covering the opposite "
        f"one {row['changed_opposite']}."
    )
