"""What is said of groups, in plain sentences."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from linnaea.evidence.fairness.gaps import GAPS
from linnaea.evidence.fairness.measuring import Measured
from linnaea.evidence.fairness.slicing import Slices
from linnaea.evidence.fairness.worst import WorseTest
from linnaea.finding import Estimate, Finding
from linnaea.runtime.words import counted, in_number

MOST_NAMED, MOST_TOLD = 5, 3
RIGHT_LABELS = "right decisions about labels"


def worst_finding(slices: Slices, metric: str, worst: tuple[int, Estimate] | None, test: WorseTest) -> Finding:
    """The finding `worst_group` of a slicing: which group is worst, and whether chance explains it."""
    if worst is None:
        return Finding(
            "worst_group", f"No group by {slices.by} is large enough to be judged, or its {metric} is not defined."
        )
    group, figure = worst
    p, below = test.p_of(group), float(test.behind[group])
    row: dict[str, Any] = {"by": slices.by, "group": slices.names[group], "p": p, "below_the_others": None}
    row |= {"metric": metric, "tested": test.of}
    told = f"{slices.names[group]}, {metric} {_shown(figure)} on {counted(figure.n, 'image')}"
    if np.isnan(below):
        return Finding("worst_group", f"By {slices.by} one group is judged: {told}.", figure=figure, rows=[row])
    row["below_the_others"] = below
    of = "" if test.of == metric else f", tested by {test.of}, as {metric} itself cannot be"
    if p > 0.05 or below <= 0:
        summary = (
            f"By {slices.by} no group is worse than the others by more than chance makes (p = {p:.2g}{of}); the worst "
            f"is {told}."
        )
        return Finding("worst_group", summary, figure=figure, count=figure.n, rows=[row | {"found": False}])
    what = "fewer right answers" if test.of == "accuracy" else f"worse in {test.of}"
    summary = (
        f"By {slices.by} the worst group is {told}: {100 * below:.1f} points {what} than the others, which chance does "
        f"not explain (p = {p:.2g}, corrected for all that was looked at{of})."
    )
    return Finding("worst_group", summary, "warning", figure.n, figure, rows=[row | {"found": True}])


def gap_finding(gaps: Sequence[Measured]) -> Finding:
    """The finding `gaps`: each gap of each slicing, those that chance does not explain first."""
    found = sorted((gap for gap in gaps if gap.found), key=lambda gap: gap.adjusted)
    rows = [gap_row(gap) for gap in [*found, *(gap for gap in gaps if not gap.found)]]
    if not found:
        tested = sum(gap.estimate.value is not None for gap in gaps)
        summary = f"None of {counted(tested, 'gap')} between groups is larger than chance makes."
        return Finding("gaps", summary if tested else "No gap between groups could be measured.", rows=rows)
    named = "; ".join(_sentence(gap) for gap in found[:MOST_TOLD])
    left = len(found) - MOST_TOLD
    more = f"; {left} more {in_number(left, 'is', 'are')} in the table" if left > 0 else ""
    harmless = all(GAPS.about(gap.gap).capabilities.get("unequal") for gap in found)
    summary = (
        f"{len(found)} of {len(gaps)} gaps between groups {in_number(len(found), 'is', 'are')} larger than chance "
        f"makes: {named}{more}."
    )
    return Finding("gaps", summary, "info" if harmless else "warning", len(found), rows=rows)


def _sentence(gap: Measured) -> str:
    widest = gap.widest
    assert widest is not None, "it was found"
    low, high = widest.ends
    names, values = gap.slices.names, widest.means.value
    about = f" of {widest.rate.of}" if widest.rate.of else ""
    reason = GAPS.about(gap.gap).capabilities.get("unequal")
    return (
        f"{GAPS.about(gap.gap).title.lower()} by {gap.slices.by} {_shown(gap.estimate)}: {widest.rate.what}{about} "
        f"{_percent(values[high])} in {names[high]}, {_percent(values[low])} in {names[low]}"
        + (f" (but {reason})" if reason else "")
    )


def gap_row(gap: Measured) -> dict[str, Any]:
    """A row of the finding `gaps`."""
    figure, widest = gap.estimate, gap.widest
    row: dict[str, Any] = {"by": gap.slices.by, "gap": gap.gap, "value": figure.value, "lo": figure.lo, "hi": figure.hi}
    row |= {"p": gap.adjusted if figure.value is not None else None, "found": gap.found, "n": figure.n}
    if widest is None:
        return row | {"class": "", "lowest": None, "highest": None, "note": figure.method}
    low, high = widest.ends
    left = [name for place, name in enumerate(gap.slices.names) if place not in widest.judged]
    names, values = gap.slices.names, widest.means.value
    row |= {"class": widest.rate.of, "what": widest.rate.what}
    row |= {"lowest": names[low], "lowest_value": float(values[low])}
    row |= {"highest": names[high], "highest_value": float(values[high]), "groups": len(widest.judged)}
    note = f"too few images in {_listed(left)}" if left else ""
    return row | {"method": figure.method, "note": note}


def small_finding(slicings: Sequence[Slices], smallest: int) -> list[Finding]:
    """The finding `small_groups`, where any group has too few images to be judged."""
    small = [
        {"by": slices.by, "group": name, "n": int(images)}
        for slices in slicings
        for name, images in zip(slices.names, slices.images.tolist(), strict=True)
        if images < smallest
    ]
    if not small:
        return []
    named = [f"{row['group']} ({row['n']})" for row in small]
    summary = (
        f"{counted(len(small), 'group has', 'groups have')} fewer than {smallest} images and "
        f"{in_number(len(small), 'is', 'are')} shown but not judged, as chance alone makes some of them look bad: "
        f"{_listed(named)}. More images of {in_number(len(small), 'it', 'them')} would tell."
    )
    return [Finding("small_groups", summary, "warning", len(small), rows=small)]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")


def _shown(figure: Estimate) -> str:
    if figure.value is None:
        return "not defined"
    limits = "" if figure.lo is None or figure.hi is None else f" ({_percent(figure.lo)} to {_percent(figure.hi)})"
    return f"{_percent(figure.value)}{limits}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
