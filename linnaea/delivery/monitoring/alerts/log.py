"""Alerts among the messages of the process that watches."""

import logging

from linnaea.delivery.monitoring.alerts.contract import ALERTS, Alert, Channel

logger = logging.getLogger("linnaea")
LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO}


@ALERTS.register("log", title="Log", order=10)
class Log(Channel):
    """A line in the log of the process, on standard error."""

    def send(self, alert: Alert) -> None:
        """Say it at the level of its severity."""
        logger.log(LEVELS[alert.severity], f"Alert {alert.name} ({alert.event}): {alert}")
