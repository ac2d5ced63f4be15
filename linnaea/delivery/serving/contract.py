"""What a server answers with, what it has answered for one image, and the contract of those who are told of it.

Metrics, the audit log and the watch over what is served are all told in the same way, and none of them knows another.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from linnaea.arrays import Images
from linnaea.classifier import Classifier

Result = TypeVar("Result")


class ServedModel(Protocol):
    """A classifier as it is served: `digest` is the address of its content."""

    @property
    def name(self) -> str:
        """What it is asked for by."""

    @property
    def version(self) -> str:
        """Which of those of this name it is."""

    @property
    def digest(self) -> str:
        """The address of its content."""

    @property
    def classifier(self) -> Classifier:
        """What answers."""


class ServedModels(Protocol):
    """All that a server answers with, by name and version; what was found answers, whatever takes its place later."""

    def __iter__(self) -> Iterator[ServedModel]:
        """Every version of every model."""

    @property
    def names(self) -> Sequence[str]:
        """The names, that of the default first."""

    def chosen(self, client: str, name: str | None = None, version: str | None = None) -> ServedModel:
        """What answers this client: the version asked for, else the usual one, or one that is being tried.

        Raises a LinnaeaError that is a LookupError where there is none of this name or version.
        """


class Between(Protocol):
    """Does a piece of work in the thread of the model, between two batches, and gives what comes of it."""

    def __call__(self, work: Callable[[], Result]) -> Result:
        """What comes of it; raises what it raises."""


class Explain(Protocol):
    """Draws heat maps over images (S, S, C), by the method of a name, as the bytes of a PNG."""

    def require(self, classifier: Classifier, method: str) -> None:
        """Raise UsageError, with those that can, where the method cannot explain the classifier.

        It is called in the thread of the model.
        """

    def draw(self, classifier: Classifier, pixels: Images, method: str, between: Between) -> bytes:
        """The picture. It is called in one of several threads, and asks the model for anything by `between` alone."""


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
