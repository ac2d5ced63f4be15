"""Which images of a window look unlike the reference, and in which slices of it they are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnaea.arrays import Array, Float32, Floats, Integers
from linnaea.delivery.monitoring.drift.contract import SMALLEST_SPREAD, centred_logits
from linnaea.delivery.monitoring.seen import Seen
from linnaea.statistics.between_groups import p_of_groups

NEIGHBOURS = 5
MOST_REFERENCE, MOST_NEWEST = 3_000, 2_000
ROWS = 512
SMALLEST_SLICE = 10  # images
MOST_VALUES = 50  # of a column, of which more say little
QUANTILE = 0.99  # of the reference, beyond which an image is called unlike it


@dataclass(frozen=True, eq=False)
class Unlike:
    """How far the newest images of a window, at `rows` (n,) of it, lie from the reference: `far` (n,), NaN if unknown.

    1 is the mean distance of an image of the reference, answered alike, to the nearest others; `limit` is exceeded by
    one in a hundred of these. `by` says in words what distances are of.
    """

    rows: Integers
    far: Floats
    limit: float
    by: str

    @property
    def beyond(self) -> Integers:
        """Rows of images unlike the reference, the newest first."""
        return np.asarray(self.rows[self.far > self.limit][::-1])


def unlike_images(reference: Seen, window: Seen, seed: int = 0) -> Unlike | None:
    """The distance of each of the newest images to its nearest neighbours in the reference; None without embeddings."""
    by, column = _embedding(reference, window)
    own = np.flatnonzero(np.isfinite(column(reference)).all(axis=1))
    if len(own) <= NEIGHBOURS:
        return None
    own = np.sort(np.random.default_rng(seed).permutation(own)[:MOST_REFERENCE])
    known = np.asarray(column(reference)[own], dtype=np.float32)
    centre, spread = known.mean(axis=0), known.std(axis=0)
    scale = np.where(spread > SMALLEST_SPREAD, spread, 1.0)
    rows = np.arange(max(0, len(window) - MOST_NEWEST), len(window))
    scaled = [np.asarray((values - centre) / scale, dtype=np.float32) for values in (known, column(window)[rows])]
    usual, found = _nearest(scaled[0], scaled[0], skip=True), _nearest(scaled[1], scaled[0], skip=False)
    labels = [str(reference.labels[row]) for row in own.tolist()]
    means = _means(labels, usual)
    told = np.array([means.get(str(window.labels[row]), means[""]) for row in rows.tolist()])
    expected = np.array([means[label] for label in labels])
    return Unlike(rows, found / told, float(np.quantile(usual / expected, QUANTILE)), by)


def _embedding(reference: Seen, window: Seen) -> tuple[str, Callable[[Seen], Array]]:
    if reference.features is None or window.features is None:
        return "logits", centred_logits
    return "features", lambda seen: seen.features if seen.features is not None else np.zeros((len(seen), 0))


def _nearest(values: Float32, known: Float32, *, skip: bool) -> Floats:
    """The mean distance (n,) of each to its nearest neighbours; `skip` leaves out itself."""
    squares, found = np.square(known).sum(axis=1), np.empty(len(values))
    for start in range(0, len(values), ROWS):
        part = values[start : start + ROWS]
        far = np.maximum(np.square(part).sum(axis=1)[:, None] + squares - 2 * part @ known.T, 0)
        if skip:
            far[np.arange(len(part)), np.arange(start, start + len(part))] = np.inf
        nearest = np.partition(far, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        found[start : start + ROWS] = np.sqrt(nearest).mean(axis=1)
    return found


def _means(labels: Sequence[str], distances: Floats) -> dict[str, float]:
    """The mean distance of each label that enough images have, and of all images under the empty name; never zero."""
    groups: dict[str, list[float]] = {}
    for label, far in zip(labels, distances.tolist(), strict=True):
        groups.setdefault(label, []).append(far)
    overall = float(distances.mean()) or 1.0
    own = {label: float(np.mean(each)) or overall for label, each in groups.items()}
    return {label: own[label] if len(groups[label]) >= SMALLEST_SLICE else overall for label in groups} | {"": overall}


def different_slices(window: Seen, unlike: Unlike) -> list[dict[str, Any]]:
    """The slices of a window by answer and by each column, with their distances, the most different first.

    `p` is that of the slice being as far off as the rest of the window, corrected for the slices of its column by
    exchanging images among them (see `linnaea.statistics.between_groups`).
    """
    known = np.isfinite(unlike.far)
    rows, far = unlike.rows[known], unlike.far[known]
    found = []
    for name, column in _columns(window).items():
        values = [str(column[row]) for row in rows.tolist()]
        names, places = np.unique(values, return_inverse=True)
        if not 1 < len(names) <= MOST_VALUES:
            continue
        p_values = p_of_groups(far, places, len(names), above=True)
        for place, value in enumerate(names.tolist()):
            inside = places == place
            if inside.sum() >= SMALLEST_SLICE:
                beyond = float((far[inside] > unlike.limit).mean())
                found.append(_row(name, value, far[inside], beyond, float(p_values[place])))
    return sorted(found, key=lambda row: (row["p"], -row["distance"]))


def _columns(window: Seen) -> Mapping[str, Sequence[Any]]:
    return {"answer": window.labels, **window.slices}


def _row(name: str, value: str, far: Floats, beyond: float, p: float) -> dict[str, Any]:
    return {"by": name, "slice": value, "images": len(far), "distance": float(far.mean()), "unlike": beyond, "p": p}
