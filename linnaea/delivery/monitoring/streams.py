"""The streams that are looked at after every image, what a change of each means, and what to do about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from linnaea.arrays import Floats
from linnaea.decisions import Policy
from linnaea.delivery.monitoring.judging import coveredness, rightness
from linnaea.delivery.monitoring.seen import Seen
from linnaea.statistics.sequential_alarms import Change, Guarantee, Stream
from linnaea.statistics.sequential_bets import FALLING, RISING

ORDER = "order"  # tested by ranks
FEWEST = 2
MOST = 1_000_000
SUPPOSED = Guarantee()
Values = Callable[[Seen, Policy], Floats]


@dataclass(frozen=True)
class Meaning:
    """What a stream is: its values (n,), NaN where there is none, how it is tested, and what is said of a change.

    `measure` names its mean, `what` is a sentence on a change, `advice` what to do.
    """

    values: Values
    test: str
    measure: str
    what: str
    advice: str


LOOK = "Look at the newest of these images (`linnaea review`), and at the drift tests, which say what changed."
STREAMS: Mapping[str, Meaning] = {
    "confidence": Meaning(
        lambda seen, _: np.where(seen.readable, seen.confidence, np.nan),
        FALLING,
        "mean confidence",
        "Answers are less sure than those of the reference",
        LOOK,
    ),
    "confidence_order": Meaning(
        lambda seen, _: np.where(seen.readable, 1 - seen.confidence, np.nan),
        ORDER,
        "mean of one less the confidence",
        "Confidence is distributed otherwise than before",
        LOOK,
    ),
    "unfamiliar": Meaning(
        lambda seen, _: (
            np.array([np.nan if score != score else 0.0 for score in seen.ood_scores])
            + np.array([reason == "unfamiliar" for reason in seen.reasons], dtype=np.float64)
        ),
        RISING,
        "share of unfamiliar images",
        "More images are unlike what it was trained on",
        LOOK,
    ),
    "ood_score": Meaning(
        lambda seen, _: np.asarray(seen.ood_scores),
        ORDER,
        "mean OOD score",
        "OOD scores are distributed otherwise than before",
        LOOK,
    ),
    "unanswered": Meaning(
        lambda seen, _: (~seen.readable).astype(np.float64),
        RISING,
        "share of images without an answer",
        "More images cannot be read or answered",
        "See which client sends them and what the log says of them.",
    ),
    "accuracy": Meaning(
        rightness,
        FALLING,
        "accuracy of labelled images",
        "More answers are wrong than in the reference",
        "Label a random share of images to be sure, then `linnaea retrain`.",
    ),
    "coverage": Meaning(
        lambda seen, _: coveredness(seen),
        FALLING,
        "coverage of labelled images",
        "Prediction sets hold the truth less often than promised",
        "Fit the sets again on labelled images of now (`linnaea calibrate`), or `linnaea retrain`.",
    ),
}


@dataclass(frozen=True, eq=False)
class Streams:
    """All streams of a classifier under test; immutable, JSON in and out, so that a restart goes on where it was.

    `left_out` says, by name, why a stream is not tested.
    """

    streams: Mapping[str, Stream]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def begin(cls, reference: Seen, policy: Policy, guarantee: Guarantee = SUPPOSED, *, seed: int = 0) -> "Streams":
        """Those for which the reference has values; what is guaranteed, is so of all of them together."""
        known = {name: _finite(meaning.values(reference, policy)) for name, meaning in STREAMS.items()}
        left_out = {
            name: f"the reference has {len(values)} images with a value, and it takes {FEWEST}"
            for name, values in known.items()
            if len(values) < FEWEST
        }
        tested = {name: values for name, values in known.items() if name not in left_out}
        count = max(len(tested), 1)
        each = replace(guarantee, rate=guarantee.rate / count, run_length=guarantee.run_length * count)
        return cls(
            {name: _stream(name, values, each, policy.coverage, seed) for name, values in tested.items()}, left_out
        )

    def told(self, seen: Seen, policy: Policy) -> "tuple[Streams, list[Change]]":
        """After further images, and what there is to say of them, in the order of the images."""
        streams, changes = dict(self.streams), list[Change]()
        for name, stream in self.streams.items():
            values = STREAMS[name].values(seen, policy)
            known = np.isfinite(values)
            streams[name], news = stream.told(values[known], np.asarray(seen.times)[known])
            changes += news
        return replace(self, streams=streams), sorted(changes, key=lambda change: change.time)

    @property
    def promises(self) -> dict[str, tuple[Guarantee, float, float]]:
        """What each stream is held to: its guarantee, what is expected of it, and what can be noticed."""
        return {name: (one.guarantee, one.expected, one.detectable) for name, one in self.streams.items()}

    @property
    def open(self) -> list[Change]:
        """The changes that were told and are not over."""
        return [stream.alarm for stream in self.streams.values() if stream.alarm is not None]

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types, readable by `from_json`."""
        streams = {name: stream.to_json() for name, stream in self.streams.items()}
        return {"streams": streams, "left_out": dict(self.left_out)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Streams":
        """The inverse of `to_json`."""
        streams = {name: Stream.from_json(told) for name, told in content["streams"].items() if name in STREAMS}
        return cls(streams, dict(content["left_out"]))


def _stream(name: str, reference: Floats, guarantee: Guarantee, coverage: float, seed: int) -> Stream:
    test = STREAMS[name].test
    if test == ORDER:
        return Stream.of_ranks(name, reference, guarantee, seed=seed)
    most = coverage if name == "coverage" else 1.0  # sets that hold more than was promised may come to hold less
    return Stream.of_mean(name, reference, test, guarantee, most=most)


def _finite(values: Floats) -> Floats:
    return np.asarray(values[np.isfinite(values)])


def in_words(change: Change) -> str:
    """A change as a sentence: what, since when, how much, how sure."""
    meaning = STREAMS[change.stream]
    much = f"{meaning.measure} {_number(change.mean)} since then instead of {_number(change.expected)}"
    if change.status == "resolved":
        return f"{meaning.what}: this is over at {when(change.time)}; it had begun about {when(change.since_time)}."
    return f"{meaning.what}, since about {when(change.since_time)}: {much}. {how_sure(change)}"


def how_sure(change: Change) -> str:
    """How likely it is that nothing changed, as far as can be said."""
    if change.status == "certain":
        much = f"{change.evidence:,.0f}" if change.evidence < MOST else f"more than {MOST:,}"
        return f"Evidence {much} to 1 that it is no chance, however often it is looked at."
    return "Suspected: chance alone says so once in a long while, and it is told again when it is certain."


def when(time: float) -> str:
    """A time of day in UTC; "an unknown time" where there is none."""
    from datetime import UTC, datetime

    if not np.isfinite(time):
        return "an unknown time"
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _number(value: float) -> str:
    return f"{value:.3g}"
