"""What is served is watched: the same numbers as from its log, alerts once, restarts that go on."""

import json
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from planted import CLASSES, POLICY, answered, drawn, reference

from linnaea.delivery.monitoring import ALARM, MONITORS, Watched, Window
from linnaea.delivery.monitoring.alerts import Channel
from linnaea.delivery.monitoring.answers import seen_of
from linnaea.delivery.monitoring.live import Reference, Watching, WatchSettings
from linnaea.delivery.monitoring.live.gauges import Gauges
from linnaea.delivery.serving.audit_log import AuditLog, read_log
from linnaea.errors import UsageError
from linnaea.finding import Finding

SETTINGS = WatchSettings(window=100, windows=5, rate=0.05)


class Kept(Channel):
    def __init__(self) -> None:
        super().__init__("")
        self.alerts = []

    def send(self, alert) -> None:
        self.alerts.append(alert)


@pytest.fixture
def known() -> Reference:
    return Reference(CLASSES, "multiclass", POLICY, reference(np.random.default_rng(0), 300))


def stream(strange: float = 0.0) -> list:
    """300 answers, of which the last 100 are strange by so much."""
    random = np.random.default_rng(1)
    before, after = drawn(random, 200), drawn(random, 100, strange=strange, apart=3.0 - strange / 2)
    return answered(np.concatenate([before[0], after[0]]), np.concatenate([before[1], after[1]]), places=3)


def fed(watching: Watching, answers: list, at_once: int = 7) -> None:
    for start in range(0, len(answers), at_once):
        watching.answered(answers[start : start + at_once])
    watching.settle()


def test_live_gives_the_numbers_of_the_log(known: Reference, tmp_path: Path):
    log, watching = AuditLog(tmp_path / "log"), Watching(lambda digest: known, SETTINGS)
    answers = stream(3.0)
    log.answered(answers)
    log.close()
    fed(watching, answers)
    (live,) = watching.findings.values()
    watching.close()

    seen = seen_of(read_log(tmp_path / "log").records, 3)
    parts = [seen.take(range(start, start + 100)) for start in (0, 100, 200)]
    windows = [
        Window(f"images {first + 1} to {first + 100}", part, part.times[0], part.times[-1])
        for first, part in zip((0, 100, 200), parts, strict=True)
    ]
    offline = Watched(CLASSES, "multiclass", POLICY, known.seen, windows, rate=0.05)
    expected = {name: monitor(offline) for name, monitor in MONITORS.items()}
    assert list(live) == list(expected)
    for name in expected:
        told, again = (json.dumps([one.to_json() for one in found[name]]) for found in (live, expected))
        assert told == again, name
    assert any(finding.severity == ALARM for each in live.values() for finding in each)


def test_a_change_alarms_once_for_each_test_and_channel(known: Reference):
    kept = Kept()
    watching = Watching(lambda digest: known, SETTINGS, [kept])
    fed(watching, stream(3.0))
    watching.close()
    opened = [alert.name for alert in kept.alerts if alert.event == "opened"]
    assert len(opened) == len(set(opened))
    assert set(opened) == {"change", "drift"}
    assert {(alert.model, alert.version) for alert in kept.alerts} == {("insects", "d1")}


def test_nothing_alarms_where_nothing_changed(known: Reference):
    kept = Kept()
    watching = Watching(lambda digest: known, SETTINGS, [kept])
    fed(watching, stream())
    watching.close()
    assert [alert for alert in kept.alerts if alert.severity == "error"] == []


def test_a_restart_goes_on(known: Reference, tmp_path: Path):
    answers, kept = stream(3.0), Kept()
    for part in (answers[:150], answers[150:230], answers[230:]):
        watching = Watching(lambda digest: known, SETTINGS, [kept], tmp_path)
        fed(watching, part)
        watching.close()
    unbroken = Watching(lambda digest: known, SETTINGS)
    fed(unbroken, answers)
    unbroken.close()
    (parted,), (whole,) = watching.watches.values(), unbroken.watches.values()
    assert [(one.stream, one.status, one.at) for one in parted.changes] == [
        (one.stream, one.status, one.at) for one in whole.changes
    ]
    assert whole.changes
    names = [alert.name for alert in kept.alerts if alert.event == "opened"]
    assert len(names) == len(set(names))


def test_a_state_of_another_rate_is_not_taken_for_one_of_this_rate(known: Reference, tmp_path: Path, caplog):
    kept = Kept()
    for rate in (0.05, 0.001):
        watching = Watching(lambda digest: known, replace(SETTINGS, rate=rate), [kept], tmp_path)
        fed(watching, stream(3.0))
        watching.close()
        assert {alert.event for alert in kept.alerts if alert.name == "change"} >= {"opened"}
        kept.alerts.clear()
    (watch,) = watching.watches.values()
    assert "held to another rate" in caplog.text
    assert watch.streams.streams["confidence"].guarantee.rate < 0.001


def test_a_damaged_state_is_told_and_the_watch_begins_again(known: Reference, tmp_path: Path, caplog):
    (tmp_path / "watch.json").write_text('{"watches": {')
    watching = Watching(lambda digest: known, SETTINGS, [], tmp_path)
    fed(watching, stream()[:10])
    watching.close()
    assert "the watch begins again" in caplog.text
    assert json.loads((tmp_path / "watch.json").read_text())["watches"]


def test_versions_are_watched_apart_and_those_without_a_reference_are_counted(known: Reference):
    watching = Watching(lambda digest: known if digest.startswith("d") else None, SETTINGS)
    random = np.random.default_rng(2)
    for digest, count in [("d1", 30), ("d2", 20), ("x", 10)]:
        logits, scores, _ = drawn(random, count)
        fed(watching, answered(logits, scores, digest=digest))
    watching.close()
    told = {digest: watch.streams.streams["confidence"].capital.told for digest, watch in watching.watches.items()}
    assert told == {"d1": 30, "d2": 20}
    assert watching.unwatched == 10


def test_answers_do_not_wait_and_what_has_no_room_is_counted(known: Reference):
    going = threading.Event()

    def slow(digest: str) -> Reference:
        going.wait(10)
        return known

    watching = Watching(slow, WatchSettings(window=100, most_waiting=50))
    answers = stream()
    watching.answered(answers[:1])  # is being looked at, and takes long
    for start in range(1, 201, 10):
        watching.answered(answers[start : start + 10])
    going.set()
    watching.settle()
    watching.close()
    told = next(iter(watching.watches.values())).streams.streams["confidence"].capital.told
    assert watching.left_out >= 149
    assert told == 201 - watching.left_out


def test_memory_is_bounded(known: Reference, tmp_path: Path):
    watching = Watching(lambda digest: known, WatchSettings(window=20, windows=3), images=tmp_path)
    random = np.random.default_rng(3)
    answers = answered(*drawn(random, 130)[:2])
    kept = tmp_path / f"{answers[119].sha256}.png"
    kept.write_bytes(b"")
    fed(watching, [replace(one, image=bytes(100)) for one in answers])
    (watch,) = watching.watches.values()
    watching.close()
    assert [len(window.seen) for window in watch.windows] == [20, 20, 20]
    assert watch.windows[-1].name == "images 101 to 120"
    assert list(watch.windows[-1].seen.images) == [None] * 19 + [kept]
    assert watch.told_images == 130


def test_a_fault_is_said_and_the_watch_goes_on(known: Reference, caplog):
    def broken(digest: str) -> Reference:
        if digest == "bad":
            raise RuntimeError("no such run")
        return known

    watching = Watching(broken, SETTINGS)
    random = np.random.default_rng(4)
    for digest in ("bad", "d1"):
        fed(watching, answered(*drawn(random, 20)[:2], digest=digest))
    watching.close()
    assert watching.failures == 1
    assert "20 answers could not be looked at: no such run" in caplog.text
    assert set(watching.watches) == {"d1"}


def test_the_gauge_of_an_alarm_that_is_over_is_none(known: Reference):
    values = {}

    def gauge(name: str, _: str, __: tuple[str, ...]) -> SimpleNamespace:
        return SimpleNamespace(labels=lambda *given: SimpleNamespace(set=partial(values.__setitem__, (name, *given))))

    gauges, watching = Gauges(gauge), Watching(lambda digest: known, SETTINGS)
    watching.names = {"d1": ("insects", "d1")}
    for found in ([Finding("sequential_confidence", "Less sure.", "error")], [Finding("sequential", "No change.")]):
        watching.findings = {"d1": {"sequential": found}}
        gauges.show(watching)
    watching.close()
    assert values["monitor_alarm", "insects", "d1", "sequential_confidence"] == 0


def test_windows_that_are_too_small_are_refused():
    with pytest.raises(UsageError, match="expected 20 or more"):
        WatchSettings(window=5)
