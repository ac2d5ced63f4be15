"""Drift: which windows differ from the reference, in what, and since when."""

from collections.abc import Sequence
from typing import Any

from linnaea.delivery.monitoring.drift import DRIFT_TESTS
from linnaea.delivery.monitoring.drift.testing import Tested, judge_window, too_small
from linnaea.delivery.monitoring.monitors.contract import ALARM, MONITORS, Watched, Window
from linnaea.finding import Finding
from linnaea.runtime.words import counted

NAMED = 3


@MONITORS.register("drift", title="Drift", meaning="Whether a window still looks like the reference.", order=10)
def drift(watched: Watched) -> Sequence[Finding]:
    """A finding on all windows, with a row for each, and one on each drift test."""
    small = {window.name: too_small(watched.reference, window.seen) for window in watched.windows}
    tested = {
        window.name: judge_window(
            watched.reference, window.seen, watched.classes, rate=watched.rate, seed=watched.seed + number
        )
        for number, window in enumerate(watched.windows)
        if not small[window.name]
    }
    rows = [_row(window, tested.get(window.name), small[window.name], watched.rate) for window in watched.windows]
    return [_overall(watched, rows), *_each_test(watched, tested)]


def _row(window: Window, tested: Tested | None, why: str, rate: float) -> dict[str, Any]:
    row: dict[str, Any] = {"window": window.name, "images": len(window.seen)}
    if tested is None:
        return row | {"p": None, "alarm": False, "changed": f"not tested: {why}"}
    named = [name for name in tested.changed if tested.adjusted[name] <= rate][:NAMED]
    said = "; ".join(tested.found[name].what for name in named)
    return row | {"p": tested.p, "alarm": tested.alarm, "changed": said if tested.alarm else "nothing shown"}


def _overall(watched: Watched, rows: Sequence[dict[str, Any]]) -> Finding:
    judged = [row for row in rows if row["p"] is not None]
    alarms = [row for row in judged if row["alarm"]]
    if not judged:
        why = rows[-1]["changed"].removeprefix("not tested: ") if rows else "there are no images"
        return Finding("drift", f"No window was tested: {why}.", "warning", rows=rows)
    of_all = f"{len(alarms)} of {counted(len(judged), 'window')}"
    promised = f"of windows in which nothing changed, {100 * watched.rate:g} % are called changed"
    if not alarms:
        return Finding("drift", f"No drift is shown in {counted(len(judged), 'window')}; {promised}.", rows=rows)
    last = alarms[-1]
    told = f"Drift in {of_all}, last in {last['window']}: {last['changed']}. Note that {promised}."
    return Finding("drift", told, ALARM, count=sum(row["images"] for row in alarms), rows=rows)


def _each_test(watched: Watched, tested: dict[str, Tested]) -> list[Finding]:
    found = []
    for name in DRIFT_TESTS:
        rows = [
            {
                "window": window,
                "value": one.found[name].effect,
                "p": one.found[name].p,
                "adjusted": one.adjusted[name],
                "alarm": one.alarm and one.adjusted[name] <= watched.rate,
                "change": one.found[name].what,
            }
            for window, one in tested.items()
            if name in one.found
        ]
        if rows:
            summary = f"{DRIFT_TESTS.about(name).title}: {rows[-1]['change']} in {rows[-1]['window']}."
            found.append(Finding(f"drift_{name}", summary, rows=rows))
    return found
