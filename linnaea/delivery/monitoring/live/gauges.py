"""What Prometheus is told of a live watch."""

import math
from collections.abc import Callable
from typing import Any

from linnaea.delivery.monitoring.live.watching import Watching, findings_in
from linnaea.statistics.sequential_alarms import CERTAIN

Gauge = Callable[[str, str, tuple[str, ...]], Any]
OF_MODEL = ("model", "version")


class Gauges:
    """Gauges of a watch, made by `gauge`, which takes a name, what it is, and its labels; `show` sets them."""

    def __init__(self, gauge: Gauge) -> None:
        of_stream = (*OF_MODEL, "stream")
        self._evidence = gauge(
            "monitor_evidence", "Evidence of a change, as a power of ten: 2 is 100 to 1 against chance.", of_stream
        )
        self._change = gauge("monitor_change", "0: none, 1: a change is suspected, 2: it is certain.", of_stream)
        self._alarms = set[tuple[str, ...]]()  # that were shown, and are over where no finding says them any more
        self._alarm = gauge(
            "monitor_alarm", "1 where a finding of the last windows is an alarm.", (*OF_MODEL, "finding")
        )
        self._figure = gauge(
            "monitor_figure", "A figure of the last window: its value and its limits.", (*OF_MODEL, "finding", "limit")
        )
        self._alerts = gauge("monitor_alerts", "Alerts: sent, failed at first, waiting, lost.", ("outcome",))
        self._answers = gauge("monitor_unseen", "Answers that were not looked at, and why.", ("why",))

    def show(self, watching: Watching) -> None:
        """Set all of them."""
        for digest, watch in list(watching.watches.items()):
            for name, stream in watch.streams.streams.items():
                labels = (*watching.names[digest], name)
                self._evidence.labels(*labels).set(math.log10(max(stream.evidence, 1e-300)))
                status = 0 if stream.alarm is None else 2 if stream.alarm.status == CERTAIN else 1
                self._change.labels(*labels).set(status)
        found = findings_in(watching)
        for gone in self._alarms - {(*watching.names[digest], finding.name) for digest, finding in found}:
            self._alarm.labels(*gone).set(0.0)
        for digest, finding in found:
            labels = (*watching.names[digest], finding.name)
            self._alarms.add(labels)
            self._alarm.labels(*labels).set(float(finding.severity == "error"))
            figure = finding.figure
            for limit in ("value", "lo", "hi") if figure is not None else ():
                number = getattr(figure, limit)
                self._figure.labels(*labels, limit).set(math.nan if number is None else number)
        telling = watching.telling
        for outcome in ("sent", "failed", "waiting", "lost"):
            self._alerts.labels(outcome).set(getattr(telling, outcome))
        for why in ("unwatched", "left_out"):
            self._answers.labels(why).set(getattr(watching, why))
