"""Agreement: do methods point at the same places?"""

from itertools import combinations

import numpy as np

from linnaea.arrays import Floats
from linnaea.evidence.explanation.checks.contract import EXPLANATION_CHECKS, Checked, Explained, Rows, rounded, title_of
from linnaea.evidence.explanation.checks.means import BOTH_SIGNS, above, mean_of
from linnaea.evidence.explanation.checks.similarity import rank_correlation
from linnaea.finding import Finding


@EXPLANATION_CHECKS.register(
    "agreement",
    title="Agreement between methods",
    meaning="The rank correlation between the maps of every two methods, its mean over images.",
    order=50,
)
def agreement(explained: Explained) -> Checked | None:
    """A row for each two methods; None for fewer. Agreement does not make maps right, but contradiction is said."""
    methods = list(explained.maps)
    if len(methods) < 2:
        return None
    rows: Rows = []
    apart: list[str] = []
    flat: list[str] = []
    measured: dict[str, Floats] = {}
    for one, other in combinations(methods, 2):
        alike = rank_correlation(explained.maps[one], explained.maps[other])
        told = mean_of(alike, BOTH_SIGNS)
        measured[f"agreement/{one}/{other}"] = alike
        if told.value is None:
            flat.append(f"{title_of(one)} and {title_of(other)}")
        elif above(told, 0) is not True:
            apart.append(f"{title_of(one)} and {title_of(other)}")
        row = {"method": one, "other": other, "rank_correlation": rounded(told.value)}
        rows.append(row | {"lo": rounded(told.lo), "hi": rounded(told.hi), "n": told.n})
    values = [float(row["rank_correlation"]) for row in rows if row["rank_correlation"] is not None]
    whole = "not defined, as maps are flat" if not values else f"{float(np.median(values)):.2f} in the middle"
    told_apart = f" No agreement is seen between {', '.join(apart)}." if apart else ""
    if values and flat:
        told_apart += f" Not defined, as maps are flat, between {', '.join(flat)}."
    summary = f"Rank correlation between the maps of {len(methods)} methods: {whole}.{told_apart}"
    return Checked(Finding("explanation_agreement", summary, count=len(explained.images), rows=rows), {}, measured)
