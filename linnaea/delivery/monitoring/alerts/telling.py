"""Alerts are told once for each change, and none is lost silently."""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from linnaea.delivery.monitoring.alerts.contract import OPENED, OVER, WORSE, Alert, AlertNotSentError, Channel
from linnaea.delivery.monitoring.streams import STREAMS, how_sure
from linnaea.finding import Finding
from linnaea.statistics.sequential_alarms import CERTAIN, RESOLVED, Change

logger = logging.getLogger("linnaea")
OF_STREAM = "sequential_"  # names of findings of streams begin so
WAITING = 1_000  # alerts that wait for a channel which does not take them
Clock = Callable[[], datetime]


def now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)


@dataclass
class Telling:
    """Brings alerts to all channels, in order; those that a channel does not take wait, and are tried with the next.

    `sent` and `failed` count what reached a channel and what did not at once; `lost` what did not and was given up,
    each of them said in the log. What is not over is known of each `version` of a `model` by itself: of the present one
    `open` are the names of findings, and `streams` those of streams with whether their change is certain: they are
    mostly of one change, and told together.
    """

    channels: Sequence[Channel]
    model: str = ""
    version: str = ""
    clock: Clock = now
    sent: int = 0
    failed: int = 0
    lost: int = 0

    def __post_init__(self) -> None:
        self._waiting: list[deque[Alert]] = [deque() for _ in self.channels]
        self._open: dict[str, set[str]] = {}
        self._streams: dict[str, dict[str, bool]] = {}

    @property
    def open(self) -> set[str]:
        """The names of findings of the present version whose alarm is not over."""
        return self._open.setdefault(f"{self.model} {self.version}", set())

    @property
    def streams(self) -> dict[str, bool]:
        """The streams of the present version whose change is not over, and whether it is certain."""
        return self._streams.setdefault(f"{self.model} {self.version}", {})

    @property
    def waiting(self) -> int:
        """Alerts that wait for a channel."""
        return sum(map(len, self._waiting))

    def changes(self, changes: Sequence[Change]) -> list[Alert]:
        """Tell what the tests that look after every image said.

        That is when the first stream is suspected of a change, when the first is certain, and when all of it is over.
        """
        told = [(change, self._event(change)) for change in changes]
        return self._tell([self._of_change(change, event) for change, event in told if event])

    def _event(self, change: Change) -> str:
        """What a change of a stream is, beside those of others; nothing where all was told."""
        before, certain = bool(self.streams), any(self.streams.values())
        if change.status == RESOLVED:
            self.streams.pop(change.stream, None)
            return OVER if before and not self.streams else ""
        self.streams[change.stream] = change.status == CERTAIN
        if not before:
            return OPENED
        return WORSE if change.status == CERTAIN and not certain else ""

    def findings(self, findings: Sequence[Finding], alarm: str) -> list[Alert]:
        """Tell the findings of the last window: those of the severity `alarm` that are new, and those that are over.

        Findings of one name are told once, until they are over: one with rows of windows, when the last of them has no
        alarm; that of a stream when it is no longer there.
        """
        now = {finding.name: finding for finding in findings if finding.severity == alarm and _is_current(finding)}
        known = {finding.name for finding in findings}
        told = [self._of_finding(finding, OPENED) for name, finding in now.items() if name not in self.open]
        over = {name for name in self.open - set(now) if name in known or name.startswith(OF_STREAM)}
        told += [self._of_finding(Finding(name, ""), OVER) for name in sorted(over)]
        self._open[f"{self.model} {self.version}"] = (self.open | set(now)) - over
        return self._tell(told)

    def again(self) -> None:
        """Try what waits once more."""
        self._tell([])

    def close(self) -> None:
        """Try what waits for the last time, and say what is given up."""
        self.again()
        for channel, waiting in zip(self.channels, self._waiting, strict=True):
            for alert in waiting:
                self._give_up(channel, alert, "there is no more time")
            waiting.clear()

    def _tell(self, alerts: Sequence[Alert]) -> list[Alert]:
        for channel, waiting in zip(self.channels, self._waiting, strict=True):
            waiting.extend(alerts)
            self._send(channel, waiting)
        return list(alerts)

    def _send(self, channel: Channel, waiting: deque[Alert]) -> None:
        while waiting:
            try:
                channel.send(waiting[0])
            except Exception as error:  # noqa: BLE001 (a channel of a plugin may raise anything)
                why = str(error) if isinstance(error, AlertNotSentError) else f"{type(error).__name__}: {error}"
                self.failed += 1
                logger.error(f"An alert was not sent, and is tried again: {why}. It says: {waiting[0]}")
                break
            waiting.popleft()
            self.sent += 1
        while len(waiting) > WAITING:
            self._give_up(channel, waiting.popleft(), f"more than {WAITING:,} wait")

    def _give_up(self, channel: Channel, alert: Alert, why: str) -> None:
        self.lost += 1
        logger.error(f"An alert was never sent to {type(channel).__name__.lower()}, because {why}: {alert}")

    def _of_change(self, change: Change, event: str) -> Alert:
        meaning, over = STREAMS[change.stream], event == OVER
        much = f"The {meaning.measure} is {change.mean:.3g} since then; it was {change.expected:.3g}."
        return Alert(
            name="change",
            event=event,
            severity="info" if over else "error" if change.status == CERTAIN else "warning",
            what=f"{meaning.what}: over" if over else meaning.what,
            since=iso(change.since_time),
            how_much="" if over else much,
            how_sure="" if over else how_sure(change),
            to_do="" if over else meaning.advice,
            time=self.clock().isoformat(timespec="seconds"),
            model=self.model,
            version=self.version,
        )

    def _of_finding(self, finding: Finding, event: str) -> Alert:
        over = event == OVER
        return Alert(
            name=finding.name,
            event=event,
            severity="info" if over else "error",
            what=f"{finding.name.replace('_', ' ').capitalize()}: over"
            if over
            else finding.summary.partition(". ")[0].rstrip("."),
            since=None,
            how_much="" if over or finding.figure is None else f"It is {finding.figure}.",
            how_sure="" if over else finding.summary.partition(". ")[2],
            to_do="" if over else "Look at the page of the monitor, and at the newest unlike images on it.",
            time=self.clock().isoformat(timespec="seconds"),
            model=self.model,
            version=self.version,
        )

    def to_json(self) -> dict[str, Any]:
        """What a restart needs to tell nothing twice, and nothing never."""
        waiting = [[one.to_json() for one in part] for part in self._waiting]
        known = {version: sorted(names) for version, names in self._open.items() if names}
        return {"open": known, "streams": {one: dict(each) for one, each in self._streams.items()}, "waiting": waiting}

    def restore(self, content: Mapping[str, Any]) -> None:
        """Go on where `to_json` was; what waited for channels that are no longer there is given up, and said."""
        known = dict(content["open"]), dict(content["streams"])
        self._open = {version: set(names) for version, names in known[0].items()}
        self._streams = {version: dict(streams) for version, streams in known[1].items()}
        for place, part in enumerate(content["waiting"]):
            alerts = [Alert(**{name: value for name, value in one.items() if name != "text"}) for one in part]
            if place < len(self._waiting):
                self._waiting[place].extend(alerts)
            else:
                for alert in alerts:
                    self.lost += 1
                    logger.error(f"An alert was never sent, because its channel is no longer there: {alert}")


def _is_current(finding: Finding) -> bool:
    """Whether an alarm is one of the last window."""
    return not finding.rows or bool(finding.rows[-1].get("alarm", True))


def iso(time: float) -> str | None:
    """A time as ISO 8601, None where there is none."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds") if np.isfinite(time) else None
