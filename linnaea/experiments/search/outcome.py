"""What came of a search: why the winner won, how it was chosen, and how much its figure on val flatters it."""

from collections.abc import Sequence
from typing import Any

from linnaea.experiments.search.book import OVER_FOLDS, Entry, statuses
from linnaea.experiments.search.space import Space
from linnaea.experiments.search.table import in_words
from linnaea.finding import Estimate, Finding
from linnaea.options import Searching
from linnaea.run import Run
from linnaea.runtime.files import read_json
from linnaea.runtime.words import counted
from linnaea.task import TASKS

OPTIMISM = "optimism"


def because(name: str, searching: Searching, best: Entry, entries: Sequence[Entry]) -> str:
    """Why the best trial was chosen, in a sentence."""
    return (
        f"Trial {best.number} of {counted(len(entries), 'trial')} ({searching.search}) has the lowest "
        f"{_judged_by(searching)}, {best.loss:.4f}: {name} with {in_words(best.values)}."
    )


def _judged_by(searching: Searching) -> str:
    """What trials are compared by."""
    folds = searching.inner_folds
    mean = "loss on val" if folds is None else f"mean loss over {folds} inner folds of train and val"
    return f"{mean} at its best temperature"


def record_of(space: Space, searching: Searching, best: Entry, entries: Sequence[Entry]) -> dict[str, Any]:
    """What `run.json` says of the search."""
    return {
        "search": searching.search,
        "space": space.to_json(),
        "inner_folds": searching.inner_folds,
        "trials": statuses(entries),
        "judged_by": _judged_by(searching),
        "trial": best.number,
        "values": dict(best.values),
        "loss": best.loss,
    }


def optimism_finding(run: Run, best: Entry, entries: Sequence[Entry]) -> Finding | None:
    """The winner's figure on val, by which it was chosen among many, beside that on the sealed test split.

    A warning where the difference is more than chance makes of both; None without a test split.
    """
    known, of_val = read_json(run.folder / "metrics.json"), best.told.get("figure")
    if "test" not in known or not of_val or of_val["value"] is None:
        return None
    metric = TASKS[run.record()["dataset"]["task"]].metric
    test = Estimate(**known["test"][metric])
    if test.value is None:
        return None
    val = Estimate(**of_val)
    gap = _difference(val, test)
    beyond = gap.lo is not None and gap.lo > 0
    told = "more than chance makes of so few images" if beyond else "which may be chance"
    span = "" if gap.lo is None or gap.hi is None else f" ({100 * gap.lo:+.1f} to {100 * gap.hi:+.1f}), {told}"
    where = "inner folds" if val.method == OVER_FOLDS else "val"
    return Finding(
        OPTIMISM,
        f"The best of {counted(len(entries), 'trial')} was chosen by {where}, where its figure is too optimistic: "
        f"{metric} {val.value:.1%} there and {test.value:.1%} on the sealed test split, {100 * (gap.value or 0):+.1f} "
        f"points{span}. The figure to report is that of the test split.",
        severity="warning" if beyond else "info",
        count=test.n,
        figure=gap,
        rows=[
            {"split": name, "value": one.value, "lo": one.lo, "hi": one.hi, "images": one.n}
            for name, one in (("val", val), ("test", test))
        ],
    )


def _difference(val: Estimate, test: Estimate) -> Estimate:
    """The figure on val less that on test, its limits made of theirs (Newcombe 1998; Zou and Donner 2008)."""
    assert val.value is not None, "it is defined"
    assert test.value is not None, "it is defined"
    gap = val.value - test.value
    if val.lo is None or val.hi is None or test.lo is None or test.hi is None:
        return Estimate(gap, None, None, test.n, "no interval: one of the figures has none")
    below = ((val.value - val.lo) ** 2 + (test.hi - test.value) ** 2) ** 0.5
    above = ((val.hi - val.value) ** 2 + (test.value - test.lo) ** 2) ** 0.5
    return Estimate(gap, gap - below, gap + above, test.n, "Newcombe, of two splits")
