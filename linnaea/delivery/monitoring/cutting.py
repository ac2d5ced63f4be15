"""Windows: images that came one after the other, so many of them or those of so much time."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from linnaea.delivery.monitoring.monitors.contract import Window
from linnaea.delivery.monitoring.seen import Seen
from linnaea.errors import UsageError
from linnaea.runtime.duration import parse_duration
from linnaea.runtime.words import counted

USUAL = "500"
DAY = 86_400


def parse_window(text: str | int) -> tuple[int | None, float | None]:
    """A number of images, as in 500, or seconds, as in 1d, 12h or 30m; raises UsageError for anything else."""
    told = str(text).strip().lower()
    if told.isdecimal():
        if int(told) < 1:
            raise UsageError("the window has 0 images; expected 1 or more, such as 500, or a time such as 1d.")
        return int(told), None
    try:
        return None, parse_duration(told)
    except UsageError:
        raise UsageError(
            f"the window is {text!r}; expected a number of images, such as 500, or a time, such as 1d or 12h."
        ) from None


def cut_into_windows(seen: Seen, size: str | int = USUAL) -> list[Window]:
    """Windows of images in the order in which they came, or of time, in which there may be none between two of them.

    Times are those of the clock that the images were answered by; where it was set back, windows of time go by the
    times, and windows of so many images by the order. The last window is what is left, however little. Raises
    UsageError where there are no times and windows of time are asked for.
    """
    count, seconds = parse_window(size)
    if count is not None:
        starts = range(0, len(seen), count)
        return [_of_images(seen.take(range(at, min(at + count, len(seen)))), at + 1) for at in starts]
    assert seconds is not None, "one of both was parsed"
    if len(seen) and not np.isfinite(seen.times).all():
        raise UsageError(
            f"nobody knows when these images came, so there is no window of {size}: give a number, as 500."
        )
    return list(_of_time(seen, seconds))


def _of_images(seen: Seen, first: int) -> Window:
    start, end = _ends(seen)
    return Window(f"images {first:,} to {first + len(seen) - 1:,}", seen, start, end)


def _of_time(seen: Seen, seconds: float) -> Iterator[Window]:
    places = np.floor(seen.times / seconds).astype(np.int64)
    for place in np.unique(places).tolist():
        rows = np.flatnonzero(places == place)
        rows = rows[np.argsort(seen.times[rows], kind="stable")]
        start = place * seconds
        yield Window(moment_of(start, seconds), seen.take(rows), start, start + seconds)


def _ends(seen: Seen) -> tuple[float | None, float | None]:
    known = seen.times[np.isfinite(seen.times)]
    return (float(known.min()), float(known.max())) if len(known) else (None, None)


def moment_of(time: float, step: float = 1.0) -> str:
    """A time, seconds since 1970, as people read it; the day alone where steps are days."""
    told = datetime.fromtimestamp(time, UTC)
    return f"{told:%Y-%m-%d}" if step % DAY == 0 else f"{told:%Y-%m-%d %H:%M}"


def set_back(seen: Seen) -> str:
    """That the clock was set back, in words, and how often; empty where it was not."""
    known = seen.times[np.isfinite(seen.times)]
    jumps = int((np.diff(known) < -1).sum())
    return f"The clock was set back {counted(jumps, 'time')} while these images were answered." if jumps else ""
