"""Tests that look after every image, and stay right however often they look."""

from collections.abc import Sequence
from typing import Any

from linnaea.delivery.monitoring.labelling import evenly_labelled
from linnaea.delivery.monitoring.monitors.contract import ALARM, MONITORS, Watched
from linnaea.delivery.monitoring.streams import STREAMS, Streams, in_words, when
from linnaea.finding import Finding
from linnaea.statistics.sequential_alarms import CERTAIN, RESOLVED, Change, Guarantee

FACT = "streams"  # the name of what a live watch knows already
OF_LABELS = ("accuracy", "coverage")  # the streams of labelled images alone
CHOSEN = (
    "This is no alarm: nobody said how the labelled images were chosen, and of images that were reviewed because they "
    "were doubtful more answers are wrong without any change. Label a random share, and give each its chance."
)


@MONITORS.register(
    "sequential",
    title="Since when",
    meaning="Whether anything changed, looked at after every image with one rate of false alarms for all time.",
    order=15,
)
def sequential(watched: Watched) -> Sequence[Finding]:
    """What was told of every stream, in the order in which it was."""
    known, doubtful = watched.facts.get(FACT), tuple[str, ...]()
    if known is not None:
        streams, changes = known
    else:
        guarantee = Guarantee(**{"rate": watched.rate, **watched.facts.get("guarantee", {})})
        streams, changes = Streams.begin(watched.reference, watched.policy, guarantee, seed=watched.seed), []
        parts, even = evenly_labelled([window.seen for window in watched.windows], watched.seed)
        doubtful = () if even else OF_LABELS
        for part in parts:
            streams, news = streams.told(part, watched.policy)
            changes += news
    found = [_of(one, changes, doubtful) for one in streams.open]
    return [_overall(streams, changes, watched.rate, doubtful), *found]


def _overall(streams: Streams, changes: Sequence[Change], rate: float, doubtful: Sequence[str]) -> Finding:
    rows = [_row(change) for change in changes]
    certain = [change for change in streams.open if _is_alarm(change, doubtful)]
    suspected = [change for change in streams.open if not _is_alarm(change, doubtful)]
    promised = (
        f"where nothing changes, the chance that it is ever certain of anything is at most {100 * rate:g} %, "
        "however long and however often it looks"
    )
    if not streams.streams:
        return Finding("sequential", "No stream is looked at: the reference has no answers.", "warning")
    if certain:
        first = min(certain, key=lambda change: change.since_time)
        names = ", ".join(STREAMS[change.stream].measure for change in certain)
        told = f"{STREAMS[first.stream].what}, since about {when(first.since_time)}. Changed for certain: {names}."
        return Finding("sequential", f"{told} Note that {promised}.", ALARM, len(certain), rows=rows)
    if suspected:
        told = "; ".join(_said(one, doubtful) for one in suspected)
        return Finding("sequential", told, "warning", len(suspected), rows=rows)
    looked = max(stream.capital.told for stream in streams.streams.values())
    return Finding("sequential", f"No change is certain or suspected after {looked:,} images; {promised}.", rows=rows)


def _is_alarm(change: Change, doubtful: Sequence[str]) -> bool:
    return change.status == CERTAIN and change.stream not in doubtful


def _said(change: Change, doubtful: Sequence[str]) -> str:
    return f"{in_words(change)} {CHOSEN}" if change.stream in doubtful else in_words(change)


def _of(change: Change, changes: Sequence[Change], doubtful: Sequence[str]) -> Finding:
    rows = [_row(one) for one in changes if one.stream == change.stream]
    severity = ALARM if _is_alarm(change, doubtful) else "warning"
    advice = "" if change.stream in doubtful else f" {STREAMS[change.stream].advice}"
    return Finding(f"sequential_{change.stream}", f"{_said(change, doubtful)}{advice}", severity, rows=rows)


def _row(change: Change) -> dict[str, Any]:
    return {
        "stream": change.stream,
        "status": change.status,
        "at": when(change.time),
        "image": change.at,
        "since": when(change.since_time),
        "mean since": None if change.status == RESOLVED else round(change.mean, 4),
        "expected": round(change.expected, 4),
        "evidence": round(change.evidence, 1),
    }
