"""The contract of a logger."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnaea.registry import Registry

FOLDER = "logs"  # below that of the run


class Logger:
    """Keeps what happens in the run of a folder; what is not written here is not kept.

    It is made where a run begins, or goes on after it was broken off, and may raise whatever it likes: then it is left
    out, with a warning, and the run goes on. Capabilities: `needs`, the packages it imports, and `extra`, that of
    Linnaea that has them; where one is missing, the command that installs it is named before any work is done.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, recipe: Mapping[str, Any]) -> None:
        """With the arguments of the run, of JSON types."""

    def epoch(self, network: str, row: Mapping[str, Any]) -> None:
        """After an epoch of a network: its number, `epoch`, and figures by name."""

    def picture(self, network: str, name: str, file: Path) -> None:
        """A picture, in a PNG file."""

    def figures(self, figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """In the end, by split and name, each figure with `value`, `lo`, `hi`, `n` and `method`, as metrics.json."""

    def end(self, status: str) -> None:
        """The run is finished, interrupted or failed: nothing follows."""


LOGGERS: Registry[type[Logger]] = Registry(
    "logger", "linnaea.delivery.loggers", title="Loggers", use="Chosen with `linnaea train --log`."
)


def numbers_in(row: Mapping[str, Any]) -> dict[str, float]:
    """What of a row is a number, but for that of the epoch."""
    return {
        name: float(value)
        for name, value in row.items()
        if name != "epoch" and isinstance(value, int | float) and not isinstance(value, bool)
    }


def flat(figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, float]:
    """Figures as `test/accuracy`, with the limits of their intervals as `test/accuracy/lo` and `test/accuracy/hi`."""
    found = {}
    for split, named in figures.items():
        for name, figure in named.items():
            for part, place in (("value", ""), ("lo", "/lo"), ("hi", "/hi")):
                if figure.get(part) is not None:
                    found[f"{split}/{name}{place}"] = float(figure[part])
    return found
