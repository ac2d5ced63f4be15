"""Trends: how images and answers look in each window, beside the reference."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from linnaea.arrays import Floats
from linnaea.delivery.monitoring.monitors.contract import MONITORS, Watched
from linnaea.delivery.monitoring.seen import Seen
from linnaea.finding import Finding

TITLES = {
    "brightness": "Brightness",
    "spread": "Contrast",
    "sharpness": "Sharpness",
    "width": "Width in pixels",
    "height": "Height in pixels",
}
MOST_CLASSES = 6
Column = Callable[[Seen], Floats]


@MONITORS.register(
    "trends",
    title="Over the windows",
    meaning="Light, sharpness, confidence, unfamiliar images and classes of each window, beside the reference.",
    order=12,
)
def trends(watched: Watched) -> Sequence[Finding]:
    """A finding for each figure, with its mean in every window and in the reference."""
    found = []
    for name, title, column in _columns(watched):
        was = _mean(column(watched.reference))
        means = [_mean(column(one.seen)) for one in watched.windows]
        rows = [
            {"window": one.name, "value": mean, "limit": was} for one, mean in zip(watched.windows, means, strict=True)
        ]
        known = [mean for mean in means if mean is not None]
        if was is not None and known:
            told = f"{title}: {_plain(known[-1])} in the last window, {_plain(was)} in the reference."
            found.append(Finding(f"trend_{name}", told, rows=rows))
    return found


def _columns(watched: Watched) -> Iterator[tuple[str, str, Column]]:
    for name, title in TITLES.items():
        yield name, title, partial(_look, name)
    yield "confidence", "Confidence", lambda seen: seen.confidence
    yield "unfamiliar", "Share of unfamiliar images", lambda seen: _share(seen.reasons, "unfamiliar")
    yield "set_size", "Classes in a prediction set", lambda seen: seen.set_sizes
    for label in watched.classes[:MOST_CLASSES] if len(watched.classes) <= MOST_CLASSES else ():
        yield f"class_{label}", f"Share of {label}", partial(_holds, label)


def _share(reasons: Sequence[str], name: str) -> Floats:
    return np.array([reason == name for reason in reasons], dtype=np.float64)


def _look(name: str, seen: Seen) -> Floats:
    return seen.looks.get(name, np.full(len(seen), np.nan))


def _holds(label: str, seen: Seen) -> Floats:
    told = [one if isinstance(one, list | tuple) else [one] for one in seen.labels]
    return np.array([label in one for one in told], dtype=np.float64)


def _mean(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
