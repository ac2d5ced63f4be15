"""The live watch: an observer of a server that looks at every answer, and a page of what it found."""

from linnaea.delivery.monitoring.live.settings import WatchSettings
from linnaea.delivery.monitoring.live.watch import Reference, Watch
from linnaea.delivery.monitoring.live.watching import Watching

__all__ = ["Reference", "Watch", "WatchSettings", "Watching"]
