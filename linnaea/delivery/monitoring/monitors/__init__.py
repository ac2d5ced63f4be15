"""Monitors: what is looked at in every window of images."""

from linnaea.delivery.monitoring.monitors.contract import ALARM, MONITORS, RATE, Monitor, Watched, Window

__all__ = ["ALARM", "MONITORS", "RATE", "Monitor", "Watched", "Window"]
