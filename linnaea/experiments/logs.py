"""The loggers of a run: each is told what happens; one that fails is left out, and the run goes on."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from linnaea.delivery.loggers import LOGGERS, Logger
from linnaea.errors import UsageError
from linnaea.runtime.files import read_json

logger = logging.getLogger("linnaea")


class Logs:
    """Loggers by their names, told all at once."""

    def __init__(self, loggers: Mapping[str, Logger] | None = None) -> None:
        self._open = dict(loggers or {})

    def epoch(self, network: str, row: Mapping[str, Any]) -> None:
        """Tell the row of an epoch."""
        self._tell("epoch", network, row)

    def picture(self, network: str, name: str, file: Path) -> None:
        """Tell of a picture."""
        self._tell("picture", network, name, file)

    def figures(self, file: Path) -> None:
        """Tell the figures in a `metrics.json`."""
        if self._open:
            self._tell("figures", read_json(file))

    def end(self, status: str) -> None:
        """Tell how the run ended."""
        self._tell("end", status)

    def _tell(self, what: str, *told: Any) -> None:
        for name, one in list(self._open.items()):
            try:
                getattr(one, what)(*told)
            except Exception as error:  # noqa: BLE001  whatever it is, it must not cost a training
                del self._open[name]
                logger.warning(f"The logger {name} failed and is told no more; the run goes on. {_said(error)}")


NOWHERE = Logs()


@contextmanager
def logging_to(names: Sequence[str], folder: Path, recipe: Mapping[str, Any]) -> Iterator[Logs]:
    """The loggers of these names for the run in a folder, until it ends, and told how it ended.

    Raises UsageError for one that cannot even begin: nothing has been done by then.
    """
    begun: dict[str, Logger] = {}
    for name in dict.fromkeys(names):
        try:
            begun[name] = LOGGERS[name](folder)
            begun[name].begin(recipe)
        except Exception as error:
            raise UsageError(f"the logger {name} cannot begin: {_said(error)} Mend that, or leave it out.") from error
    logs = Logs(begun)
    try:
        yield logs
    except BaseException as error:
        logs.end("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
        raise
    logs.figures(folder / "metrics.json")
    logs.end("finished")


def _said(error: Exception) -> str:
    """The first line of an error, as a sentence."""
    lines = str(error).splitlines() or [type(error).__name__]
    return f"{lines[0].rstrip('.')}."
