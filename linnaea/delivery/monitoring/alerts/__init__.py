"""Alerts: who is told that something changed, once for each change, and what becomes of those that fail."""

from linnaea.delivery.monitoring.alerts.contract import ALERTS, Alert, AlertNotSentError, Channel, channels_of
from linnaea.delivery.monitoring.alerts.telling import Telling

__all__ = ["ALERTS", "Alert", "AlertNotSentError", "Channel", "Telling", "channels_of"]
