"""What the names of classical pipelines stand for, such as `hog+svm` and `bovw:sift+forest`, told without torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from linnaea.errors import UsageError, suggest
from linnaea.registry import About
from linnaea.registry.index import family_in

PACKAGE = "linnaea.models.classical"
FORM = "a feature and a head joined by +, such as hog+svm"


@dataclass(frozen=True)
class PipelineName:
    """The names of a feature and a head and, where it is encoded (None: it is not), of an encoding."""

    feature: str
    head: str
    encoding: str | None = None


def features() -> Mapping[str, About]:
    """What is known of each feature."""
    return family_in("feature", f"{PACKAGE}.features").known


def heads() -> Mapping[str, About]:
    """What is known of each head."""
    return family_in("head", f"{PACKAGE}.heads").known


def encodings() -> Mapping[str, About]:
    """What is known of each encoding."""
    return family_in("encoding", f"{PACKAGE}.encodings").known


def is_pipeline(name: str) -> bool:
    """Whether a name is of the form of a pipeline."""
    return "+" in name


def pipeline_of(name: str) -> PipelineName:
    """The parts of a pipeline by its name; raises UsageError for a part that is unknown, or that does not fit."""
    described, _, head = name.partition("+")
    before, colon, feature = described.rpartition(":")
    _require(name, "feature", feature, features())
    _require(name, "head", head, heads())
    if not colon:
        return PipelineName(feature, head)
    _require(name, "encoding", before, encodings())
    if not features()[feature].capabilities.get("local"):
        local = ", ".join(other for other, told in features().items() if told.capabilities.get("local"))
        raise UsageError(
            f"{name!r} encodes {feature}, which describes an image as a whole and has nothing to count: take one of "
            f"{local}, or leave {before}: out."
        )
    return PipelineName(feature, head, before)


def _require(name: str, noun: str, part: str, known: Mapping[str, About]) -> None:
    if part not in known:
        raise UsageError(
            f"unknown {noun} {part!r} in the model {name!r}: expected one of {', '.join(known)}.{suggest(part, known)}"
        )


def half_of_one(name: str) -> str:
    """A hint for a name that is only a feature, a head or an encoded feature; empty for others."""
    if name in features() or (":" in name and name.rpartition(":")[2] in features()):
        return f" {name} is a feature: join it to a head, such as {name}+svm."
    return f" {name} is a head: join it to a feature, such as hog+{name}." if name in heads() else ""
