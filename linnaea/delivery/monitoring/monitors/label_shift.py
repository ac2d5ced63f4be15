"""The shares of the classes in each window, estimated without labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from linnaea.delivery.monitoring.monitors.accuracy import ONE_LABEL, answered, labelled, probabilities_of
from linnaea.delivery.monitoring.monitors.contract import MONITORS, Watched, Window
from linnaea.errors import DataError
from linnaea.finding import Estimate, Finding
from linnaea.statistics.label_shift import Shares, shares_by_confusion, shares_by_em

SHOWN = 12  # classes of which each has a finding: those that differ most


@MONITORS.register(
    "label_shift",
    title="Class shares",
    meaning="The shares of the classes in each window, estimated without labels, if classes look as they did.",
    order=30,
)
def label_shift(watched: Watched) -> Sequence[Finding]:
    """A finding on all classes of the last window, and one over the windows for each that differs most."""
    if watched.task not in ONE_LABEL:
        return [Finding("class_shares", f"The task is {watched.task}: class shares need one label each.", "warning")]
    reference, targets = labelled(watched)
    if not len(targets):
        return [Finding("class_shares", "Class shares are not estimated: the reference has no labels.", "warning")]
    usual = np.bincount(targets, minlength=len(watched.classes)) / len(targets)
    known = probabilities_of(reference)
    found = list[tuple[Window, Shares, Shares]]()
    for window in watched.windows:
        new = probabilities_of(answered(window.seen))
        if len(new) < 2:
            continue
        try:
            found.append((window, shares_by_confusion(known, targets, new), shares_by_em(new, np.maximum(usual, 1e-6))))
        except DataError as error:
            return [Finding("class_shares", f"Class shares are not estimated: {error}", "warning")]
    if not found:
        return [Finding("class_shares", "Class shares are not estimated: no window has images.", "warning")]
    return [_last(watched, found[-1], usual), *_each(watched, found, usual)]


def _last(watched: Watched, found: tuple[Window, Shares, Shares], usual: Any) -> Finding:
    window, shares, others = found
    order = np.argsort(-np.abs(shares.value - usual))
    rows = [
        {
            "class": watched.classes[k],
            "share": round(float(shares.value[k]), 4),
            "lo": round(float(shares.lo[k]), 4),
            "hi": round(float(shares.hi[k]), 4),
            "in the reference": round(float(usual[k]), 4),
            "by EM": round(float(others.value[k]), 4),
            "differs": "more" if shares.rises[k] else "less" if shares.falls[k] else "",
        }
        for k in order.tolist()
    ]
    changed = [row for row in rows if row["differs"]]
    said = ", ".join(f"{row['class']} {row['share']:.2f} instead of {row['in the reference']:.2f}" for row in changed)
    told = f"Estimated class shares in {window.name}: {said or 'as in the reference, as far as can be told'}."
    supposes = "They hold if classes look as they did and only their shares changed."
    return Finding("class_shares", f"{told} {supposes}", count=shares.images, rows=rows)


def _each(watched: Watched, found: Sequence[tuple[Window, Shares, Shares]], usual: Any) -> list[Finding]:
    furthest = np.max([np.abs(shares.value - usual) for _, shares, _ in found], axis=0)
    shown = np.argsort(-furthest)[:SHOWN].tolist()
    return [
        Finding(
            f"class_share_{watched.classes[k]}",
            f"The share of {watched.classes[k]} is estimated as {found[-1][1].value[k]:.3f} in the last window; it was "
            f"{usual[k]:.3f} in the reference.",
            figure=_estimate(found[-1][1], k),
            rows=[
                {
                    "window": window.name,
                    "images": shares.images,
                    "value": float(shares.value[k]),
                    "lo": float(shares.lo[k]),
                    "hi": float(shares.hi[k]),
                    "limit": float(usual[k]),
                }
                for window, shares, _ in found
            ],
        )
        for k in shown
    ]


def _estimate(shares: Shares, k: int) -> Estimate:
    value, lo, hi = (float(values[k]) for values in (shares.value, shares.lo, shares.hi))
    return Estimate(value, lo, hi, shares.images, f"by {shares.method}, without labels")
