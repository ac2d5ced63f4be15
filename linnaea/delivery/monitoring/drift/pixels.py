"""What pixels and files look like: light, contrast, sharpness, size."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from linnaea.arrays import Floats
from linnaea.delivery.monitoring.drift.columns import columns_drift
from linnaea.delivery.monitoring.drift.contract import DRIFT_TESTS, Comparison, Drift
from linnaea.delivery.monitoring.seen import Seen
from linnaea.statistics.exchanging import distribution_distances

SAID: Mapping[str, Callable[[float, float], str]] = {
    "brightness": lambda was, now: f"{'darker' if now < was else 'brighter'} by {abs(now - was):.2f}",
    "spread": lambda was, now: f"{'less' if now < was else 'more'} contrast, {now:.2f} instead of {was:.2f}",
    "sharpness": lambda was, now: f"{'blurrier' if now < was else 'sharper'}, {now:.2f} instead of {was:.2f}",
    "width": lambda was, now: f"{now:,.0f} pixels wide instead of {was:,.0f}",
    "height": lambda was, now: f"{now:,.0f} pixels high instead of {was:,.0f}",
    "bytes": lambda was, now: f"files of {now / 1024:,.0f} KiB instead of {was / 1024:,.0f}",
}


@DRIFT_TESTS.register("pixels", title="Pixels and files", needs=("looks",), order=50)
def pixels(compared: Comparison) -> Drift:
    """Brightness, contrast, sharpness, size: the distribution of each, corrected for their number."""
    sides = compared.reference.looks, compared.window.looks
    order = [*SAID, *(name for name in sides[0] if name not in SAID)]
    names = [name for name in order if all(_known(side.get(name)) for side in sides)]
    columns = np.stack([compared.pooled(partial(_look, name)) for name in names], axis=1)
    distances = distribution_distances(compared.exchange, columns)

    def said(place: int) -> str:
        was, now = (float(np.nanmedian(side[names[place]])) for side in sides)
        return SAID.get(names[place], _plain(names[place]))(was, now)

    return columns_drift(distances, names, said, named=len(names))


def _look(name: str, seen: Seen) -> Floats:
    return seen.looks[name]


def _known(values: Floats | None) -> bool:
    return values is not None and bool(np.isfinite(values).any())


def _plain(name: str) -> Callable[[float, float], str]:
    return lambda was, now: f"{name} {now:.3g} instead of {was:.3g}"
