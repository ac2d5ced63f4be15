"""Bad slices that no column names: clusters of what the network sees in which more answers are wrong than elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnaea.arrays import Flags, Floats, Integers
from linnaea.evidence.fairness.slicing import MISSING, Slices
from linnaea.finding import Finding
from linnaea.runtime.words import counted
from linnaea.statistics.between_groups import p_of_groups
from linnaea.statistics.shares import shares

NAME = "bad_slices"
CLUSTERS = (4, 8, 16, 32)
SMALLEST = 20  # images of a slice,
FEWEST = 5  # of so many subjects, where several images show one
DIRECTIONS = 32
ERROR = 0.05
MOST_SHOWN = 24
EXPLAINS = 0.5  # of the images of a slice have the value that names it
TIMES = 2.0  # as often as the others have it
OVERLAP = 0.5  # of the images of a slice that belong to a worse one already told


@dataclass(frozen=True, eq=False)
class BadSlice:
    """Images (m,) among which more answers are wrong than among the others, the most typical wrong ones first.

    `errors` and `others` are the shares of wrong answers in it and outside. The slice was chosen by these very answers:
    `limits` are therefore those that hold for all `tried` clusters at once, whichever is chosen, and `p` is corrected
    for them; `subjects` is how many of what was drawn its images come from. `named` says which value of which column
    its images have in common, empty where none does.
    """

    rows: Integers
    errors: float
    limits: tuple[float, float]
    others: float
    p: float
    named: str
    shown: Integers
    subjects: int
    tried: int


def find_slices(
    features: Floats, wrong: Flags, columns: Sequence[Slices], units: Integers | None = None, *, seed: int = 0
) -> list[BadSlice]:
    """The bad slices among n images, the worst first, none where errors are spread by chance.

    `features` (n, D) are clustered by k-means, into 4 to 32 clusters of 20 images or more, without a look at the
    answers; `wrong` (n,) says which are wrong. A cluster is a bad slice where its share of wrong answers is higher than
    shuffling the answers makes that of any cluster of any number (max-T, Westfall and Young 1993, over numbers of
    clusters by Bonferroni's correction). `columns` name what its images have in common. `units` (n,) number what was
    drawn, where several images come from one: then these vary, not images, and a cluster has images of 5 or more. After
    Domino (Eyuboglu et al. 2022) and SliceLine (Sagadeeva and Boehm 2021), which promise nothing about chance.
    """
    clusterings = _clusterings(features, units, seed)
    tried = sum(int(one.judged.sum()) for one in clusterings)
    case = _Case(wrong, columns, units, tried)
    found: list[BadSlice] = []
    for one in clusterings:
        kept = one.judged[one.places]
        own = None if units is None else units[kept]
        p = p_of_groups(wrong[kept].astype(np.float64), one.places[kept], len(one.judged), own, above=True, seed=seed)
        p = np.minimum(p * len(clusterings), 1.0)
        for cluster in np.flatnonzero((p <= ERROR) & one.judged).tolist():
            rows = np.flatnonzero(one.places == cluster)
            found.append(case.told(rows[np.argsort(one.distances[rows], kind="stable")], float(p[cluster])))
    return _apart(sorted(found, key=lambda one: (one.others - one.errors, one.p)))


@dataclass(frozen=True, eq=False)
class _Clustering:
    """The cluster of each image (n,), how far it lies from its centre (n,), and which clusters are judged (C,)."""

    places: Integers
    distances: Floats
    judged: Flags


def _clusterings(features: Floats, units: Integers | None, seed: int) -> list[_Clustering]:
    """One for each number of clusters that leaves two large enough to be judged."""
    tried = [count for count in CLUSTERS if len(features) >= 2 * SMALLEST and len(features) / count >= SMALLEST]
    vectors, made = _reduced(features), []
    for count in tried:
        places, distances = _clusters(vectors, count, seed)
        judged = np.bincount(places, minlength=count) >= SMALLEST
        if units is not None:
            judged &= np.bincount(np.unique(units * count + places) % count, minlength=count) >= FEWEST
        if judged.sum() > 1:
            made.append(_Clustering(places, distances, judged))
    return made


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


@dataclass(frozen=True, eq=False)
class _Case:
    """What is known of n images in which `tried` clusters were looked at."""

    wrong: Flags
    columns: Sequence[Slices]
    units: Integers | None
    tried: int

    def told(self, typical: Integers, p: float) -> BadSlice:
        """The slice of these images (m,), the most typical first."""
        inside = np.zeros(len(self.wrong), dtype=bool)
        inside[typical] = True
        wrong = self.wrong
        told = shares(
            inside.astype(np.int64), wrong.astype(np.float64), 2, self.units, confidence=1 - ERROR / self.tried
        )
        shown = np.concatenate([typical[wrong[typical]], typical[~wrong[typical]]])[:MOST_SHOWN]
        subjects = len(typical) if self.units is None else len(np.unique(self.units[typical]))
        return BadSlice(
            np.sort(typical),
            float(told.value[1]),
            (float(told.lo[1]), float(told.hi[1])),
            float(told.value[0]),
            p,
            name_of(inside, self.columns, self.units),
            shown,
            subjects,
            self.tried,
        )


def name_of(inside: Flags, columns: Sequence[Slices], units: Integers | None = None) -> str:
    """The value that most images `inside` (n,) have and others have much less often, in words; empty without one.

    More often than chance makes, that is by limits that hold for all values of all `columns` at once, where whole
    `units` (n,) vary.
    """
    best, told = 0.0, ""
    values = sum(len(slices) for slices in columns)
    for slices in columns:
        for group, name in enumerate(slices.names):
            has = (slices.places == group).astype(np.float64)
            share = shares(inside.astype(np.int64), has, 2, units, confidence=1 - ERROR / values)
            outside, within = share.value.tolist()
            of_these = float(has[inside].sum()) / max(float(has.sum()), 1.0)
            harmonic = 2 * within * of_these / max(within + of_these, 1e-12)
            clear = within >= EXPLAINS and within >= TIMES * outside and share.lo[1] > share.hi[0]
            if name != MISSING and clear and harmonic > best:
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
        of = f" of {one.subjects:,} groups" if one.subjects < len(one.rows) else ""
        summary = (
            f"Slice {number}: of {counted(len(one.rows), 'image')}{of} that look alike {100 * one.errors:.1f} % are "
            f"answered wrongly ({100 * one.limits[0]:.1f} to {100 * one.limits[1]:.1f}, whichever of the "
            f"{one.tried} clusters tried is picked), of the others {100 * one.others:.1f} % (p = {one.p:.2g}, "
            f"corrected for all that was tried); {named}."
        )
        common = {name: _most_common([values[row] for row in one.rows]) for name, values in told.items()}
        row: dict[str, Any] = {"slice": number, "images": len(one.rows), "groups": one.subjects, "errors": one.errors}
        row |= {"errors_lo": one.limits[0], "errors_hi": one.limits[1], "others": one.others, "p": one.p}
        images = [ids[row] for row in one.shown]
        findings.append(
            Finding(NAME, summary, "warning", len(one.rows), rows=[row | common | {"named": one.named}], images=images)
        )
    return findings


def _most_common(values: Sequence[Any]) -> str:
    texts = [str(value) for value in values]
    best = max(sorted(set(texts)), key=texts.count)
    return f"{best} ({texts.count(best)})"
