"""Tests that look after every image, and stay right however often they look."""

from collections.abc import Sequence
from typing import Any

from linnaea.delivery.monitoring.monitors.contract import ALARM, MONITORS, Watched
from linnaea.delivery.monitoring.streams import STREAMS, Streams, in_words, when
from linnaea.finding import Finding
from linnaea.statistics.sequential_alarms import CERTAIN, RESOLVED, Change, Guarantee

FACT = "streams"  # the name of what a live watch knows already


@MONITORS.register(
    "sequential",
    title="Since when",
    meaning="Whether anything changed, looked at after every image with one rate of false alarms for all time.",
    order=15,
)
def sequential(watched: Watched) -> Sequence[Finding]:
    """What was told of every stream, in the order in which it was."""
    known = watched.facts.get(FACT)
    if known is not None:
        streams, changes = known
    else:
        guarantee = Guarantee(**{"rate": watched.rate, **watched.facts.get("guarantee", {})})
        streams, changes = Streams.begin(watched.reference, watched.policy, guarantee, seed=watched.seed), []
        for window in watched.windows:
            streams, news = streams.told(window.seen, watched.policy)
            changes += news
    return [_overall(streams, changes, watched.rate), *(_of(one, changes) for one in streams.open)]


def _overall(streams: Streams, changes: Sequence[Change], rate: float) -> Finding:
    rows = [_row(change) for change in changes]
    certain = [change for change in streams.open if change.status == CERTAIN]
    suspected = [change for change in streams.open if change.status != CERTAIN]
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
        return Finding(
            "sequential", "; ".join(in_words(one) for one in suspected), "warning", len(suspected), rows=rows
        )
    looked = max(stream.capital.told for stream in streams.streams.values())
    return Finding("sequential", f"No change is certain or suspected after {looked:,} images; {promised}.", rows=rows)


def _of(change: Change, changes: Sequence[Change]) -> Finding:
    rows = [_row(one) for one in changes if one.stream == change.stream]
    severity = ALARM if change.status == CERTAIN else "warning"
    return Finding(
        f"sequential_{change.stream}", f"{in_words(change)} {STREAMS[change.stream].advice}", severity, rows=rows
    )


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
