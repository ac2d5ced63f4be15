"""Numbers as people read them, and what each metric means in one plain line."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from linnaea.registry import About, family
from linnaea.runtime.words import in_number

SPACE = "\N{NO-BREAK SPACE}"
NOTHING = "–"
MONTHS = (  # strftime would use the machine's language
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """How a metric is called and explained; `share` is shown in percent, `bounded` lies in [0, 1] and gets a bar."""

    title: str
    meaning: str
    share: bool = False
    bounded: bool = True


FAMILIES = ("metric", "metric of several labels", "metric of a taxonomy")
SHARE = Metric("Share", "A share of images.", share=True)
BESIDE = "figure"  # the family of figures beside the metrics


def metrics() -> Mapping[str, About]:
    """What is known of every metric, as the families of metrics have it; a name means the same in all of them."""
    found = [about for noun in reversed(FAMILIES) for about in family(noun).known.values()]
    return {about.name: about for about in sorted(found, key=lambda about: about.rank)}


def in_order(names: Iterable[str]) -> list[str]:
    """Names of figures as a report lists them: metrics, other figures, then those that nothing is known of."""
    known = [*metrics(), *family(BESIDE).known]
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def metric_named(name: str, *, in_tree: bool = False) -> Metric:
    """The description of a metric; an unknown one keeps its name and says that nothing is known of it.

    `in_tree` says that classes lie below groups, so that an answer need not be a class.
    """
    kind, _, share = name.partition("_at_prevalence_")
    if kind in metrics() and number(share) is not None:
        title = f"{metrics()[kind].title} at a prevalence of {percent(share)}"
        return Metric(title, "The same where the positive class has that share.", share=True)
    if name in metrics():
        return _described(metrics()[name], in_tree)
    plain = Metric(name.replace("_", " ").capitalize(), "This version has no plain description of it.", bounded=False)
    return _described(family(BESIDE).about(name), in_tree) if name in family(BESIDE).known else plain


def _described(about: About, in_tree: bool) -> Metric:
    told = about.capabilities
    meaning = str(told.get("in_tree", about.meaning)) if in_tree else about.meaning
    return Metric(about.title, meaning, share=bool(told.get("share")), bounded=told.get("bounded") is not False)


def number(value: Any) -> float | None:
    """A finite float from JSON or CSV; None for what is empty, not a number or infinite."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return result if math.isfinite(result) else None


def whole(value: Any) -> str:
    """A count with its thousands set apart."""
    count = number(value)
    return NOTHING if count is None else f"{count:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def percent(value: Any, unit: bool = True) -> str:
    """A share as a percentage with one decimal, never rounded to a certainty that it is not."""
    share = number(value)
    if share is None:
        return NOTHING
    text = f"{100 * share:.1f}"
    if text == "100.0" and share < 1:
        text = f">{SPACE}99.9"
    elif text == "0.0" and share > 0:
        text = f"<{SPACE}0.1"
    return f"{text}{SPACE}%" if unit else text


def decimal(value: Any, digits: int = 3) -> str:
    """A number with a fixed number of decimals."""
    result = number(value)
    return NOTHING if result is None else f"{result:.{digits}f}"


def figure(value: Any, metric: Metric) -> str:
    """A metric's value alone."""
    if number(value) is None:
        return "not defined"
    return percent(value) if metric.share else decimal(value)


def bounds(entry: Mapping[str, Any], metric: Metric) -> str:
    """A metric's interval as `91.0 to 96.3`, empty when there is none."""
    lo, hi = number(entry.get("lo")), number(entry.get("hi"))
    if lo is None or hi is None:
        return ""
    low, high = (percent(end, unit=False) if metric.share else decimal(end) for end in (lo, hi))
    return f"{low}{SPACE}to{SPACE}{high}"


def estimate(entry: Mapping[str, Any], metric: Metric) -> str:
    """A metric with its interval as `94.1 % (91.0 to 96.3)`."""
    interval = bounds(entry, metric)
    return figure(entry.get("value"), metric) + (f" ({interval})" if interval else "")


def interval(row: Mapping[str, Any], low: str, high: str) -> tuple[float, float] | None:
    """The two limits that a row has under these names; None where it lacks one."""
    lo, hi = number(row.get(low)), number(row.get(high))
    return None if lo is None or hi is None else (lo, hi)


def limits(row: Mapping[str, Any], name: str) -> str:
    """The interval of a share in a row, from the columns `<name>_lo` and `<name>_hi`, a dash where there is none."""
    return bounds({"lo": row.get(f"{name}_lo"), "hi": row.get(f"{name}_hi")}, SHARE) or NOTHING


def duration(value: Any) -> str:
    """Seconds as people say them: `0.42 s`, `8.1 s`, `3 min 12 s`, `2 h 05 min`."""
    seconds = number(value)
    if seconds is None:
        return NOTHING
    if seconds < 59.5:
        return f"{seconds:.{2 if seconds < 1 else 1 if seconds < 10 else 0}f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{SPACE}min" + (f" {rest}{SPACE}s" if rest else "")
    return f"{minutes // 60}{SPACE}h {minutes % 60:02d}{SPACE}min"


def size(value: Any) -> str:
    """Megabytes with one decimal."""
    megabytes = number(value)
    if megabytes is None:
        return NOTHING
    return f"<{SPACE}0.1{SPACE}MB" if 0 < megabytes < 0.05 else f"{megabytes:.1f}{SPACE}MB"


def moment(value: Any) -> str:
    """A time from ISO 8601 as `2 March 2026, 09:22 UTC`; anything else is shown as it stands."""
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError:
        return cell(value)
    zone = f" {time.tzname()}" if time.tzinfo else ""
    return f"{time.day} {MONTHS[time.month - 1]} {time.year}, {time:%H:%M}{zone}"


def counted(count: float, noun: str, plural: str = "") -> str:
    """A count with its noun in the right number: `1 image`, `3 images`, `2 classes`."""
    return f"{whole(count)} {in_number(count, noun, plural)}"


def cell(value: Any) -> str:
    """Any JSON value as the text of a table cell."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {cell(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value) or NOTHING
    return str(value)
