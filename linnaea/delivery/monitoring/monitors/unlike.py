"""Unlike images: the newest images that lie far from the reference, and the slices that hold most of them."""

from collections.abc import Sequence

import numpy as np

from linnaea.delivery.monitoring.monitors.contract import MONITORS, Watched
from linnaea.delivery.monitoring.unlike import QUANTILE, different_slices, unlike_images
from linnaea.finding import Finding
from linnaea.runtime.words import counted

SHOWN = 24
TOLD = 0.05  # p-value below which a slice is named


@MONITORS.register(
    "unlike",
    title="Unlike the reference",
    meaning="The newest images that lie farthest from the reference, and the slices of the window they are in.",
    order=15,
)
def unlike(watched: Watched) -> Sequence[Finding]:
    """Two findings on the last window: its images, and its slices."""
    if not watched.windows or not len(watched.windows[-1].seen):
        return []
    last = watched.windows[-1]
    found = unlike_images(watched.reference, last.seen, watched.seed)
    if found is None:
        return []
    far = np.isfinite(found.far)
    beyond = found.beyond
    share, usual = len(beyond) / max(int(far.sum()), 1), 1 - QUANTILE
    told = (
        f"In {last.name} {counted(len(beyond), 'image')}, {100 * share:.0f} %, lie farther from the reference, by "
        f"{found.by}, than {100 * QUANTILE:g} % of its own images do; {100 * usual:.0f} % are expected."
    )
    places = dict(zip(found.rows.tolist(), found.far.tolist(), strict=True))
    rows = [
        {"id": last.seen.ids[row], "distance": places[row], "answer": last.seen.labels[row], **_slice(watched, row)}
        for row in beyond[:SHOWN].tolist()
    ]
    kept = last.seen.images
    images = [str(kept[row]) for row in beyond.tolist() if len(kept) and kept[row] is not None][:SHOWN]
    findings = [Finding("unlike_images", told, count=len(beyond), rows=rows, images=images)]
    slices = different_slices(last.seen, found)
    if slices:
        first = slices[0]
        shown = first["p"] <= TOLD
        most = (
            f"{first['by']} {first['slice']}, {counted(first['images'], 'image')}, is {first['distance']:.2f} times as "
            "far from the reference as its own images are"
        )
        told = f"Most different in {last.name}: {most}." if shown else f"No slice of {last.name} stands out."
        findings.append(Finding("different_slices", told, rows=slices))
    return findings


def _slice(watched: Watched, row: int) -> dict[str, object]:
    seen = watched.windows[-1].seen
    return {name: column[row] for name, column in seen.slices.items()}
