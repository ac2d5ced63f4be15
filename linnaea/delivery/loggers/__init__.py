"""Loggers: where else the figures of a training are kept, for tools that people already look at."""

from linnaea.delivery.loggers.contract import LOGGERS, Logger

__all__ = ["LOGGERS", "Logger"]
