"""Iterative stratification: each label has its share in each part when images carry several.

Pairs of labels are not dealt out by themselves (Szymański and Kajdanowicz 2017): that brings the shares of pairs
nearer, but takes those of the labels further away, by which models are judged.
"""

import heapq
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from linnaea.data.splits.contract import SPLITTERS, Deal, Dealt
from linnaea.data.splits.lack import Lack
from linnaea.data.splits.units import Units


@SPLITTERS.register(
    "iterative",
    title="Iterative",
    meaning="Each of several labels has its share in each part, the rarest dealt out first (Sechidis et al. 2011).",
    order=20,
)
def iterative(deal: Deal) -> Dealt:
    """Each label has its share in each part, the rarest label is dealt out first (Sechidis et al. 2011); whole units.

    A label that only one unit has may be missing in train, which `linnaea split --check` and the audit report.
    """
    names = list(deal.shares)
    parts = deal.units.spread(rarest_first(deal.units, list(deal.shares.values())))
    return Dealt([names[part] for part in parts.tolist()])


def rarest_first(units: Units, shares: Sequence[float]) -> list[int]:
    """The part of each unit: the units with the rarest label come first and go where that label is lacked most.

    The rarest is the one that fewest images have among those not dealt out yet, none (no label) being one too.
    """
    contents, sizes, left = list(units.contents()), units.sizes.tolist(), units.totals
    members, lack = _units_by_label(units), Lack(units, shares)
    waiting = [(count, label) for label, count in enumerate(left) if count]
    heapq.heapify(waiting)
    parts = [-1] * len(units)
    while waiting:
        count, label = heapq.heappop(waiting)
        if count != left[label]:
            continue  # images with this label have gone since: it stands further ahead with another count
        touched: set[int] = set()
        for unit in (unit for unit in members[label] if parts[unit] < 0):
            parts[unit] = lack.fill(contents[unit], sizes[unit], label)
            for name, images in contents[unit]:
                left[name] -= images
                touched.add(name)
        for name in sorted(touched):
            if left[name]:
                heapq.heappush(waiting, (left[name], name))
    return parts


def _units_by_label(units: Units) -> list[list[int]]:
    """For each label, the units with it, in their order."""
    by_label = csr_array(units.counts.T)
    by_label.sort_indices()
    return [part.tolist() for part in np.split(by_label.indices, by_label.indptr[1:-1])]
