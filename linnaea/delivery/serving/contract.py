"""What a server has answered for one image, and the contract of those who are told of it.

Metrics, the audit log and the watch over what is served are all told in the same way, and none of them knows another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Answered:
    """One image of one request, and its answer.

    `request` is the id that the client was told, `place` which of its images this is, from 0; `time` is that of the
    answer, in seconds since 1970, UTC. `model`, `version` and `digest` (the address of its content) say what answered,
    `key` the name of the API key that asked, if keys are in use. `sha256` is that of the image's bytes, `image` the
    bytes themselves. `answer` is what the client was told: label, confidence, prediction_set, ood_score, reason.
    `logits` (K,) are calibrated; empty where there was no answer. `looks` are numbers by name: width, height, bytes,
    brightness, spread, sharpness. `seconds` is the time from the request's arrival to this answer.
    """

    request: str
    place: int
    time: float
    model: str
    version: str
    digest: str
    answer: Mapping[str, Any]
    key: str | None = None
    sha256: str | None = None
    image: bytes | None = None
    logits: tuple[float, ...] = ()
    looks: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0


class Observer(Protocol):
    """Told of every answer, in the order in which they were given, from one thread, before the client is answered.

    One that raises makes the request fail: what must be told before an answer may leave, such as the audit log, does.
    """

    def answered(self, batch: Sequence[Answered]) -> None:
        """These were answered."""

    def close(self) -> None:
        """There is nothing more to come."""
