"""Drift: which windows differ from the reference, in what, and since when."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from linnaea.delivery.monitoring.drift import DRIFT_TESTS
from linnaea.delivery.monitoring.drift.detectable import detectable
from linnaea.delivery.monitoring.drift.testing import Tested, judge_window, too_small
from linnaea.delivery.monitoring.monitors.contract import ALARM, MONITORS, Watched, Window
from linnaea.finding import Finding
from linnaea.runtime.words import counted

NAMED = 3
NOT_SHOWN = "nothing shown"
NOT_TESTED = "not tested: "


@MONITORS.register(
    "drift", title="Drift", meaning="Whether the images of a window could come from where the reference did.", order=10
)
def drift(watched: Watched) -> Sequence[Finding]:
    """A finding on all windows, one on what could be seen at all, and one on each drift test, with a row a window."""
    small = {window.name: too_small(watched.reference, window.seen) for window in watched.windows}
    tested = {
        window.name: judge_window(
            watched.reference, window.seen, watched.classes, rate=watched.rate, seed=watched.seed + number
        )
        for number, window in enumerate(watched.windows)
        if not small[window.name]
    }
    rows = [_row(window, tested.get(window.name), small[window.name], watched.rate) for window in watched.windows]
    return [_overall(watched, rows), *_power(watched, tested), *_left_out(tested), *_each_test(watched, tested)]


def _row(window: Window, tested: Tested | None, why: str, rate: float) -> dict[str, Any]:
    row: dict[str, Any] = {"window": window.name, "images": len(window.seen)}
    if tested is None:
        return row | {"p": None, "alarm": False, "changed": NOT_TESTED + why}
    return row | {"p": tested.p, "alarm": tested.alarm, "changed": in_words(tested, rate)}


def in_words(tested: Tested, rate: float) -> str:
    """What changed: what can be seen, as light and classes, and only without that what a network sees."""
    if not tested.alarm:
        return NOT_SHOWN
    named = [name for name in tested.changed if tested.adjusted[name] <= rate]
    plain = [name for name in named if "embedding" not in _needs(name)]
    return "; ".join(tested.found[name].what for name in (plain or named)[:NAMED])


def _needs(name: str) -> tuple[str, ...]:
    needs = DRIFT_TESTS.about(name).capabilities.get("needs", ())
    return needs if isinstance(needs, tuple) else ()


def _overall(watched: Watched, rows: Sequence[Mapping[str, Any]]) -> Finding:
    judged = [row for row in rows if row["p"] is not None]
    alarms = [row for row in judged if row["alarm"]]
    if not judged:
        why = str(rows[-1]["changed"]).removeprefix(NOT_TESTED) if rows else "there are no images"
        return Finding("drift", f"No window was tested: {why}.", "warning", rows=rows)
    rate = f"{100 * watched.rate:g} of 100 windows in which nothing changed are called changed"
    if not alarms:
        return Finding("drift", f"No drift is shown in {counted(len(judged), 'window')}; {rate}.", rows=rows)
    last, begun = alarms[-1], _begun(judged)
    told = f"Drift in {len(alarms)} of {counted(len(judged), 'window')}, last in {last['window']}: {last['changed']}."
    told += f" It lasts since {begun}." if begun else " The newest window shows none."
    count = sum(row["images"] for row in alarms)
    return Finding("drift", f"{told} By chance {rate}.", ALARM, count=count, rows=rows)


def _begun(judged: Sequence[Mapping[str, Any]]) -> str:
    """The first of the windows since which all have been alarms; empty where the last is none."""
    begun = ""
    for row in reversed(judged):
        if not row["alarm"]:
            break
        begun = str(row["window"])
    return begun


def _power(watched: Watched, tested: Mapping[str, Tested]) -> list[Finding]:
    if not watched.windows:
        return []
    usual = int(np.median([len(window.seen) for window in watched.windows]))
    most = max((len(one.found) for one in tested.values()), default=0) or None
    sizes = (len(watched.reference), usual, watched.rate)
    return [detectable(*sizes) if most is None else detectable(*sizes, most)]


def _left_out(tested: Mapping[str, Tested]) -> list[Finding]:
    """Which tests had nothing to compare in some windows."""
    why = {name: reason for one in tested.values() for name, reason in one.left_out.items()}
    if not why:
        return []
    told = ", ".join(f"{DRIFT_TESTS.about(name).title} ({reason})" for name, reason in why.items())
    return [Finding("drift_left_out", f"Not every test could be made of every window: {told}.")]


def _each_test(watched: Watched, tested: Mapping[str, Tested]) -> list[Finding]:
    found = []
    for name in DRIFT_TESTS:
        rows = [_row_of_test(window, one, name, watched.rate) for window, one in tested.items() if name in one.found]
        if rows:
            alarms = [row for row in rows if row["alarm"]]
            told = alarms[-1] if alarms else rows[-1]
            summary = f"{DRIFT_TESTS.about(name).title}: {told['change']} in {told['window']}"
            summary += "." if alarms else ", which is no more than chance gives."
            found.append(Finding(f"drift_{name}", summary, rows=rows))
    return found


def _row_of_test(window: str, tested: Tested, name: str, rate: float) -> dict[str, Any]:
    one = tested.found[name]
    return {
        "window": window,
        "effect": float(one.effect),
        "measure": one.measure,
        "p": one.p,
        "adjusted": tested.adjusted[name],
        "alarm": tested.alarm and tested.adjusted[name] <= rate,
        "change": one.what,
    }
