"""Whether and how what is served is watched, and who is told of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from linnaea.options import checks
from linnaea.options.option import Option, Options

FAMILY = ("alert", "linnaea.delivery.monitoring.alerts")
SMALLEST = 20

Alerts = Annotated[
    Sequence[str],
    Option(
        "Who is told of a change, as NAME or NAME=TARGET: {names}; such as file=alerts.jsonl or webhook=URL. May be "
        "repeated.",
        names=checks.names(*FAMILY),
        repeated=True,
    ),
]


@dataclass(frozen=True, eq=False, repr=False)  # as of all groups
class Monitoring(Options):
    """The watch over what is served: none without a folder `monitor`, in which its state is kept.

    Each `window` of answers is compared with what the model was judged on. `alarm_rate` is the share of windows in
    which nothing changed that may be called changed, and the chance that the tests that look at every answer are ever
    certain of a change that is none. `alert` names who is told.
    """

    title = "Watch"

    monitor: Annotated[
        str | Path | None,
        Option("Folder to keep the state of the watch over answers in. Default: they are not watched.", read=Path),
    ] = None
    window: Annotated[int, Option("Answers that are compared together.", checks.at_least(SMALLEST, "answers", 500))] = (
        500
    )
    alarm_rate: Annotated[float, Option("Accepted rate of false alarms.", checks.share(0.01))] = 0.01
    alert: Alerts = ("log",)
