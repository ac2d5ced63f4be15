"""Two classifiers' predictions brought to the same images, in the same order, with the same order of classes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from linnaea.errors import DataError
from linnaea.predictions import WIDE, Predictions


@dataclass(frozen=True)
class Pair:
    """Two predictions whose rows are about the same images; `left_out` counts the images only one of them has."""

    a: Predictions
    b: Predictions
    left_out: tuple[int, int]


def pair(a: Predictions, b: Predictions, names: tuple[str, str]) -> Pair:
    """Keep the images that both have, in the order of `a`.

    Raises DataError when none is shared, an id occurs twice, or tasks, classes or truths differ.
    """
    a, b = a.loaded(), b.loaded()
    if a.task != b.task or set(a.classes) != set(b.classes):
        raise DataError(
            f"{names[0]} and {names[1]} answer different questions: {_question(a, b)} against {_question(b, a)}. "
            "Compare predictions of the same task and classes."
        )
    if set(a.tree.parents) != set(b.tree.parents):
        raise DataError(
            f"{names[0]} and {names[1]} have different groups above the classes: compare runs with the same taxonomy."
        )
    places_a, places_b = _places(a, names[0]), _places(b, names[1])
    shared = [name for name in places_a if name in places_b]
    if not shared:
        raise DataError(
            f"{names[0]} and {names[1]} have no image in common: {_first(a)} against {_first(b)}. "
            "Compare predictions of the same images; the column `id` must agree."
        )
    left_out = (len(a) - len(shared), len(b) - len(shared))
    rows_a, rows_b = [places_a[name] for name in shared], [places_b[name] for name in shared]
    matched = Pair(_take(a, rows_a), _take(_in_class_order(b, a.classes), rows_b), left_out)
    _check_truths(matched, shared, names)
    return matched


def _places(predictions: Predictions, name: str) -> dict[str, int]:
    ids = predictions.column("id")
    places = {identifier: row for row, identifier in enumerate(ids)}
    if len(places) < len(ids):
        twice = next(identifier for row, identifier in enumerate(ids) if places[identifier] != row)
        raise DataError(f"{name} has {len(ids) - len(places)} ids more than once (first {twice!r}): keep one row each.")
    return places


def _check_truths(matched: Pair, ids: list[str], names: tuple[str, str]) -> None:
    truths = zip(ids, _truths(matched.a), _truths(matched.b), strict=True)
    differing = [(name, one, other) for name, one, other in truths if one != other]
    if differing:
        name, one, other = differing[0]
        raise DataError(
            f"the truth of {len(differing)} shared images differs: {name!r} is {one!r} for {names[0]} and {other!r} "
            f"for {names[1]}. Evaluate both with the same labels."
        )


def _truths(predictions: Predictions) -> list[Any]:
    """What is true of each image: its label, or all of its labels and those that are unknown, each in order."""
    truths = predictions.column("truth")
    if not predictions.rules.multilabel:
        return truths
    unknown = predictions.column("unknown") if predictions.has("unknown") else [[]] * len(truths)
    return [
        ", ".join([*sorted(names), *(f"{name} unknown" for name in sorted(others))]) or "none of them"
        for names, others in zip(truths, unknown, strict=True)
    ]


def _take(predictions: Predictions, rows: list[int]) -> Predictions:
    return predictions.with_table(predictions.table.take(rows))


def _in_class_order(predictions: Predictions, classes: tuple[str, ...]) -> Predictions:
    if predictions.classes == classes:
        return predictions
    order = np.array([predictions.classes.index(name) for name in classes])
    columns = {
        name: predictions.scores(name)[:, order] if name in WIDE else predictions.column(name)
        for name in predictions.table.column_names
    }
    numbers = {
        name: predictions.table.column(name).to_numpy() for name in ("confidence", "ood_score") if name in columns
    }
    return Predictions.from_columns(columns | numbers, classes, predictions.task, predictions.taxonomy)


def _question(predictions: Predictions, other: Predictions) -> str:
    only = [name for name in predictions.classes if name not in other.classes]
    extra = f", of which only here {', '.join(map(repr, only[:3]))}" if only else ""
    return f"{predictions.task} with {len(predictions.classes)} classes{extra}"


def _first(predictions: Predictions) -> str:
    return f"{len(predictions)} images, first {predictions.column('id')[0]!r}" if len(predictions) else "no images"
