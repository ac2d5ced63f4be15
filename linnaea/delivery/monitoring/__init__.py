"""Monitoring: whether what is seen and what is answered are still what the model was judged on."""

from linnaea.delivery.monitoring.monitors import ALARM, MONITORS, RATE, Monitor, Watched, Window
from linnaea.delivery.monitoring.seen import Seen

__all__ = ["ALARM", "MONITORS", "RATE", "Monitor", "Seen", "Watched", "Window"]
