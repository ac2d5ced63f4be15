"""The contract of a channel: it brings an alert to somebody, or says why it could not.

    @ALERTS.register("log", title="Log", meaning="...", order=10)
    class Log(Channel): ...

An alert is about one change; the same change is not told again until it is over.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from linnaea.errors import LinnaeaError, UsageError, suggest
from linnaea.registry import Registry

OPENED, WORSE, OVER = "opened", "worse", "over"


class AlertNotSentError(LinnaeaError):
    """An alert did not reach those it was for."""


@dataclass(frozen=True)
class Alert:
    """Something changed, became certain, or is over; one for each, however often it is looked at.

    `name` says which test spoke, `event` is one of opened, worse and over, `severity` one of error, warning and info.
    `what` happened, `since` when (ISO 8601, None where nobody knows), `how_much`, `how_sure` and `to_do` are plain
    sentences. `model` and `version` say what answered, `time` when the alert was made.
    """

    name: str
    event: str
    severity: str
    what: str
    since: str | None
    how_much: str
    how_sure: str
    to_do: str
    time: str
    model: str = ""
    version: str = ""

    def __str__(self) -> str:
        since = f", since about {self.since}" if self.since else ""
        said = " ".join(filter(None, [self.how_much, self.how_sure, self.to_do]))
        return f"{self.what}{since}. {said}" if said else f"{self.what}{since}."

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types, as it is posted and written."""
        return asdict(self) | {"text": str(self)}


class Channel(ABC):
    """Where alerts go; `target` is what the operator gave behind the name, such as a file or an address.

    Making one refuses what cannot be right, with UsageError. Capabilities: `target`, a word for what it takes, or none.
    """

    def __init__(self, target: str) -> None:
        self.target = target

    @abstractmethod
    def send(self, alert: Alert) -> None:
        """Bring it there; raises AlertNotSentError, after which it is tried again later."""


ALERTS: Registry[type[Channel]] = Registry(
    "alert",
    "linnaea.delivery.monitoring.alerts",
    title="Alerts",
    use="Chosen with `--alert` of `linnaea serve` and `linnaea monitor`.",
)


def channel_of(given: str) -> Channel:
    """The channel that `NAME` or `NAME=TARGET` means; raises UsageError for another name, or a target it cannot use."""
    name, _, target = given.partition("=")
    if name not in ALERTS:
        raise UsageError(f"there is no alert {name!r}: expected one of {', '.join(ALERTS)}.{suggest(name, ALERTS)}")
    wanted = ALERTS.about(name).capabilities.get("target")
    if wanted and not target:
        raise UsageError(f"the alert {name} goes to a {wanted}: give it as {name}={str(wanted).upper()}.")
    if target and not wanted:
        raise UsageError(f"the alert {name} takes no target, and {target!r} was given: leave it out.")
    return ALERTS[name](target)


def channels_of(given: str | Sequence[str]) -> list[Channel]:
    """That of one, or those of several, each once."""
    return [channel_of(one) for one in dict.fromkeys([given] if isinstance(given, str) else given)]
