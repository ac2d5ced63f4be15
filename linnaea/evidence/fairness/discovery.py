"""Bad slices that no column names: clusters of what the network sees in which more answers are wrong than elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnaea.arrays import Flags, Floats, Integers
from linnaea.evidence.fairness.slicing import MISSING, Slices
from linnaea.finding import Finding
from linnaea.runtime.words import counted
from linnaea.statistics.between_groups import means_of, p_of_groups
from linnaea.statistics.shares import limits_of_share

NAME = "bad_slices"
CLUSTERS = (4, 8, 16, 32)
SMALLEST = 20  # images of a slice
DIRECTIONS = 32
ERROR = 0.05
MOST_SHOWN = 24
EXPLAINS = 0.5  # of the images of a slice have the value that names it
TIMES = 2.0  # as often as the others have it
OVERLAP = 0.5  # of the images of a slice that belong to a worse one already told


@dataclass(frozen=True, eq=False)
class BadSlice:
    """Images (m,) among which more answers are wrong than among the others, the most typical wrong ones first.

    `errors` and `others` are the shares of wrong answers in it and outside, `p` is corrected for all clusters tried;
    `named` says which value of which column its images have in common, empty where none does.
    """

    rows: Integers
    errors: float
    limits: tuple[float, float]
    others: float
    p: float
    named: str
    shown: Integers


def find_slices(
    features: Floats, wrong: Flags, columns: Sequence[Slices], units: Integers | None = None, *, seed: int = 0
) -> list[BadSlice]:
    """The bad slices among n images, the worst first, none where errors are spread by chance.

    `features` (n, D) are clustered by k-means, into 4 to 32 clusters of 20 images or more, without a look at the
    answers; `wrong` (n,) says which are wrong. A cluster is a bad slice where its share of wrong answers is higher than
    shuffling the answers makes that of any cluster of any number (max-T, Westfall and Young 1993, over numbers of
    clusters by Bonferroni's correction). `columns` name what its images have in common. `units` (n,) number what was
    drawn, where several images come from one. After Domino (Eyuboglu et al. 2022) and SliceLine (Sagadeeva and Boehm
    2021), which promise nothing about chance.
    """
    tried = [count for count in CLUSTERS if len(features) >= 2 * SMALLEST and len(features) / count >= SMALLEST]
    vectors = _reduced(features)
    found: list[BadSlice] = []
    for count in tried:
        places, distances = _clusters(vectors, count, seed)
        sizes = np.bincount(places, minlength=count)
        large = sizes >= SMALLEST
        kept = large[places]
        if large.sum() < 2:
            continue
        own = None if units is None else units[kept]
        p = p_of_groups(wrong[kept].astype(np.float64), places[kept], count, own, above=True, seed=seed) * len(tried)
        for cluster in np.flatnonzero((p <= ERROR) & large).tolist():
            rows = np.flatnonzero(places == cluster)
            found.append(_told(rows, distances, wrong, float(p[cluster]), columns))
    return _apart(sorted(found, key=lambda one: (one.others - one.errors, one.p)))


def _reduced(features: Floats) -> Floats:
    """At unit length, in the 32 directions in which they vary most."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    unit = unit - unit.mean(axis=0)
    if min(unit.shape) <= DIRECTIONS:
        return np.asarray(unit)
    from sklearn.decomposition import PCA

    return np.asarray(PCA(DIRECTIONS, random_state=0).fit_transform(unit))


def _clusters(vectors: Floats, count: int, seed: int) -> tuple[Integers, Floats]:
    from sklearn.cluster import KMeans

    fitted = KMeans(count, n_init=3, random_state=seed).fit(vectors)
    places = fitted.labels_.astype(np.int64)
    return places, np.linalg.norm(vectors - fitted.cluster_centers_[places], axis=1)


def _told(rows: Integers, distances: Floats, wrong: Flags, p: float, columns: Sequence[Slices]) -> BadSlice:
    inside = np.zeros(len(wrong), dtype=bool)
    inside[rows] = True
    typical = rows[np.argsort(distances[rows], kind="stable")]
    shown = np.concatenate([typical[wrong[typical]], typical[~wrong[typical]]])[:MOST_SHOWN]
    limits = limits_of_share(float(wrong[rows].sum()), len(rows))
    errors, others = float(wrong[rows].mean()), float(wrong[~inside].mean())
    return BadSlice(rows, errors, limits, others, p, name_of(inside, columns), shown)


def name_of(inside: Flags, columns: Sequence[Slices]) -> str:
    """The value that most images `inside` (n,) have and others have much less often, in words; empty without one."""
    best, told = 0.0, ""
    for slices in columns:
        share = means_of(inside.astype(np.float64), slices.places, len(slices)).value  # of each value's images
        for group, name in enumerate(slices.names):
            has = slices.places == group
            within, outside = float(has[inside].mean()), float(has[~inside].mean())
            harmonic = 2 * within * share[group] / max(within + share[group], 1e-12)
            if name != MISSING and within >= EXPLAINS and within >= TIMES * outside and harmonic > best:
                best = harmonic
                told = f"{slices.by} is {name} in {100 * within:.0f} % of them, in {100 * outside:.0f} % of the others"
    return told


def _apart(found: Sequence[BadSlice]) -> list[BadSlice]:
    """Those that do not mostly repeat a worse one."""
    kept: list[BadSlice] = []
    for one in found:
        if all(np.isin(one.rows, other.rows).mean() < OVERLAP for other in kept):
            kept.append(one)
    return kept


def slices_finding(found: Sequence[BadSlice], ids: Sequence[str], told: Mapping[str, Sequence[Any]]) -> list[Finding]:
    """A finding `bad_slices` for each, with its images, or one that says that there is none.

    `told` are further columns (n,) by name, whose most frequent value in a slice stands in its row.
    """
    if not found:
        summary = "No group of images that look alike has more wrong answers than chance makes."
        return [Finding(NAME, summary, count=0)]
    findings = []
    for number, one in enumerate(found, 1):
        named = one.named or "no column says what they have in common: look at them"
        summary = (
            f"Slice {number}: of {counted(len(one.rows), 'image')} that look alike {100 * one.errors:.1f} % are "
            f"answered wrongly ({100 * one.limits[0]:.1f} to {100 * one.limits[1]:.1f}), of the others "
            f"{100 * one.others:.1f} % (p = {one.p:.2g}, corrected for all that was tried); {named}."
        )
        common = {name: _most_common([values[row] for row in one.rows]) for name, values in told.items()}
        row = {"slice": number, "images": len(one.rows), "errors": one.errors, "others": one.others, "p": one.p}
        images = [ids[row] for row in one.shown]
        findings.append(
            Finding(NAME, summary, "warning", len(one.rows), rows=[row | common | {"named": one.named}], images=images)
        )
    return findings


def _most_common(values: Sequence[Any]) -> str:
    texts = [str(value) for value in values]
    best = max(sorted(set(texts)), key=texts.count)
    return f"{best} ({texts.count(best)})"
