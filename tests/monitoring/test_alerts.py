"""Alerts: told once for each change, by every channel, and never lost silently."""

import errno
import json
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from linnaea.delivery.monitoring.alerts import ALERTS, Alert, AlertNotSentError, Channel, Telling, channels_of
from linnaea.delivery.monitoring.alerts import webhook as webhooks
from linnaea.errors import UsageError
from linnaea.finding import Finding
from linnaea.statistics.sequential_alarms import Change

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Kept(Channel):
    """Keeps what it is sent; refuses as often as it is told to."""

    def __init__(self, refusing: int = 0) -> None:
        super().__init__("")
        self.refusing, self.alerts = refusing, []

    def send(self, alert: Alert) -> None:
        if self.refusing:
            self.refusing -= 1
            raise AlertNotSentError("it is closed")
        self.alerts.append(alert)


def change(status: str, stream: str = "ood_score") -> Change:
    return Change(stream, status, 300, NOON.timestamp(), 250, NOON.timestamp() - 60, 120.0, 2.5, 0.5)


def telling(*channels: Channel, **more) -> Telling:
    return Telling(channels, clock=lambda: NOON, **more)


def an_alert() -> Alert:
    kept = Kept()
    telling(kept, model="insects", version="abc").changes([change("certain")])
    return kept.alerts[0]


def test_an_alert_says_what_since_when_how_much_how_sure_and_what_to_do():
    alert = an_alert()
    assert alert.to_json() == {
        "name": "change",
        "event": "opened",
        "severity": "error",
        "what": "OOD scores are distributed otherwise than before",
        "since": "2026-01-01T11:59:00+00:00",
        "how_much": "The mean OOD score is 2.5 since then; it was 0.5.",
        "how_sure": "Evidence 120 to 1 that it is no chance, however often it is looked at.",
        "to_do": alert.to_do,
        "time": "2026-01-01T12:00:00+00:00",
        "model": "insects",
        "version": "abc",
        "text": str(alert),
    }
    assert "linnaea review" in alert.to_do
    for part in (alert.what, alert.since, alert.how_much, alert.how_sure, alert.to_do):
        assert part in str(alert)


def test_a_change_is_told_when_suspected_when_certain_and_when_over():
    kept = Kept()
    told = telling(kept)
    told.changes([change("suspected")])
    told.changes([change("certain"), change("resolved")])
    told.changes([change("suspected")])
    assert [(one.event, one.severity) for one in kept.alerts] == [
        ("opened", "warning"),
        ("worse", "error"),
        ("over", "info"),
        ("opened", "warning"),
    ]
    assert told.streams == {"ood_score": False}


def test_streams_of_one_change_are_one_alert():
    kept = Kept()
    told = telling(kept)
    told.changes([change("suspected"), change("suspected", "confidence"), change("certain", "confidence")])
    told.changes([change("certain"), change("resolved"), change("resolved", "confidence"), change("suspected")])
    assert [one.event for one in kept.alerts] == ["opened", "worse", "over", "opened"]


def test_a_stream_that_a_log_no_longer_shows_changed_is_over():
    kept = Kept()
    told = telling(kept)
    told.findings([Finding("sequential_ood_score", "OOD scores. And so on.", "error")], "error")
    told.findings([Finding("sequential", "Nothing.")], "error")
    assert [(one.event, one.what) for one in kept.alerts] == [
        ("opened", "OOD scores"),
        ("over", "Sequential ood score: over"),
    ]


def test_a_version_that_is_well_does_not_end_the_alarm_of_another():
    kept = Kept()
    told = telling(kept)
    ill, well = Finding("drift", "Drift in 1 of 1 windows.", "error"), Finding("drift", "No drift is shown.")
    for _ in range(3):
        for version, finding in (("1", ill), ("2", well)):
            told.version = version
            told.findings([finding], "error")
    told.version = "2"
    told.changes([change("certain"), change("resolved")])
    told.version = "1"
    told.changes([change("suspected")])
    said = [(alert.name, alert.version, alert.event) for alert in kept.alerts]
    expected = [("drift", "1", "opened"), ("change", "2", "opened"), ("change", "2", "over"), ("change", "1", "opened")]
    assert said == expected
    again = telling(kept)
    again.restore(json.loads(json.dumps(told.to_json())))
    again.version = "1"
    assert (again.open, again.streams) == ({"drift"}, {"ood_score": False})


def test_a_window_that_stays_changed_is_told_once():
    def drift(*alarms: bool) -> list[Finding]:
        rows = [{"window": number, "alarm": alarm} for number, alarm in enumerate(alarms)]
        return [Finding("drift", "Drift. And so on.", "error" if any(alarms) else "info", rows=rows)]

    kept = Kept()
    told = telling(kept)
    for alarms in [(False,), (False, True), (False, True, True), (True, True, False), (True, False, True)]:
        told.findings(drift(*alarms), "error")
    assert [one.event for one in kept.alerts] == ["opened", "over", "opened"]
    assert kept.alerts[0].what == "Drift"


def test_what_a_channel_does_not_take_waits_and_is_said(caplog):
    broken, sound = Kept(refusing=2), Kept()
    told = telling(broken, sound)
    told.changes([change("suspected")])
    assert (told.sent, told.failed, told.waiting, told.lost) == (1, 1, 1, 0)
    told.changes([change("certain")])
    assert (told.sent, told.failed, told.waiting) == (2, 2, 2)
    told.again()
    assert [one.event for one in broken.alerts] == [one.event for one in sound.alerts] == ["opened", "worse"]
    assert (told.sent, told.waiting, told.lost) == (4, 0, 0)
    assert "was not sent, and is tried again: it is closed" in caplog.text
    assert "OOD scores" in caplog.text


def test_a_channel_that_breaks_does_not_break_the_watch(caplog):
    class Broken(Channel):
        def send(self, alert: Alert) -> None:
            raise KeyError("oops")

    told = telling(Broken(""))
    told.changes([change("certain")])
    assert told.failed == 1
    told.close()
    assert (told.waiting, told.lost) == (0, 1)
    assert "KeyError" in caplog.text
    assert "was never sent to broken, because there is no more time" in caplog.text


def test_those_that_wait_are_bounded_and_what_is_given_up_is_said(caplog, monkeypatch):
    monkeypatch.setattr("linnaea.delivery.monitoring.alerts.telling.WAITING", 2)
    told = telling(Kept(refusing=100))
    for _ in range(4):
        told.changes([change("suspected"), change("resolved")])
    assert (told.waiting, told.lost) == (2, 6)
    assert caplog.text.count("was never sent") == 6


def test_a_restart_tells_what_waits_and_nothing_twice(caplog):
    before = telling(Kept(refusing=100))
    before.findings([Finding("drift", "Drift.", "error")], "error")
    kept, after = Kept(), None
    after = telling(kept)
    after.restore(json.loads(json.dumps(before.to_json())))
    after.findings([Finding("drift", "Drift.", "error")], "error")
    assert [one.what for one in kept.alerts] == ["Drift"]
    gone = telling()
    gone.restore(before.to_json())
    assert gone.lost == 1
    assert "its channel is no longer there" in caplog.text


def test_the_log_says_it_at_its_severity(caplog):
    (log,) = channels_of(["log"])
    with caplog.at_level(logging.INFO, logger="linnaea"):
        log.send(an_alert())
    (record,) = caplog.records
    assert (record.levelname, "OOD scores" in record.getMessage()) == ("ERROR", True)


def test_a_file_gets_a_line_for_each(tmp_path: Path):
    path = tmp_path / "new" / "alerts.jsonl"
    (channel,) = channels_of([f"file={path}"])
    channel.send(an_alert())
    channel.send(an_alert())
    lines = path.read_text().splitlines()
    assert [json.loads(line) for line in lines] == [an_alert().to_json()] * 2


def test_a_full_disk_is_an_alert_not_sent_and_no_half_line(tmp_path: Path, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (channel,) = channels_of([f"file={tmp_path / 'alerts.jsonl'}"])
    channel.send(an_alert())
    with monkeypatch.context() as patched:
        patched.setattr("linnaea.delivery.monitoring.alerts.file.os.fsync", full)
        with pytest.raises(AlertNotSentError, match="No space left"):
            channel.send(an_alert())
    channel.send(an_alert())
    assert len((tmp_path / "alerts.jsonl").read_text().splitlines()) == 2


class Hook(BaseHTTPRequestHandler):
    """Answers with what it is told to, in order, and keeps what was posted."""

    answers: list[int]
    posted: list[tuple[str, dict]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.posted.append((self.path, json.loads(body)))
        code = self.answers.pop(0) if self.answers else 200
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[tuple[str, type[Hook]]]:
    handler = type("Handler", (Hook,), {"answers": [], "posted": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/alerts?token=secret", handler
        server.shutdown()
        thread.join()


def test_a_webhook_is_posted_json(hook):
    address, handler = hook
    (channel,) = channels_of([f"webhook={address}"])
    channel.send(an_alert())
    assert handler.posted == [("/alerts?token=secret", an_alert().to_json())]


def test_a_webhook_that_fails_is_tried_again_and_no_more_than_three_times(hook):
    address, handler = hook
    (channel,) = channels_of([f"webhook={address}"])
    handler.answers += [500, 503]
    channel.send(an_alert())
    assert len(handler.posted) == 3
    handler.answers += [500, 500, 500]
    with pytest.raises(AlertNotSentError, match="in 3 tries: it answered 500") as caught:
        channel.send(an_alert())
    assert len(handler.posted) == 6
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("code", [302, 400, 404])
def test_a_webhook_that_refuses_is_not_asked_again_nor_followed(hook, code):
    address, handler = hook
    (channel,) = channels_of([f"webhook={address}"])
    handler.answers.append(code)
    with pytest.raises(AlertNotSentError, match=f"it answered {code}"):
        channel.send(an_alert())
    assert [path for path, _ in handler.posted] == ["/alerts?token=secret"]


def test_a_webhook_nobody_listens_at_is_said(monkeypatch):
    monkeypatch.setattr(webhooks, "PATIENCE", 0.2)
    (channel,) = channels_of(["webhook=http://127.0.0.1:9/"])
    with pytest.raises(AlertNotSentError, match=r"http://127\.0\.0\.1 did not take it in 3 tries"):
        channel.send(an_alert())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("mail", "there is no alert 'mail'"),
        ("webhok=http://x", "Did you mean 'webhook'"),
        ("webhook", "give it as webhook=URL"),
        ("webhook=ftp://example.org", "expected an address such as https"),
        ("webhook=file:///etc/passwd", "expected an address such as https"),
        ("file", "give it as file=FILE"),
        ("log=x", "takes no target"),
    ],
)
def test_channels_that_cannot_be_are_refused(given: str, message: str):
    with pytest.raises(UsageError, match=message):
        channels_of([given])


def test_a_file_that_cannot_be_written_is_refused_at_once(tmp_path: Path):
    with pytest.raises(UsageError, match="is a folder"):
        channels_of([f"file={tmp_path}"])
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        channels_of([f"file={tmp_path}/taken/alerts.jsonl"])


@pytest.mark.parametrize("name", list(ALERTS))
def test_every_channel_takes_an_alert_or_says_why_not(name: str, tmp_path: Path, hook):
    target = {"url": hook[0], "file": str(tmp_path / "alerts")}.get(ALERTS.about(name).capabilities.get("target"))
    (channel,) = channels_of([f"{name}={target}" if target else name])
    channel.send(an_alert())
