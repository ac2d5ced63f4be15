"""The trials of a search as rows and sentences."""

from collections.abc import Mapping
from typing import Any

from linnaea.experiments.search.book import FINISHED, Entry
from linnaea.experiments.search.space import Value


def row_of(entry: Entry, *, chosen: bool = False) -> dict[str, Any]:
    """The row of a trial in `trials.csv`; the option columns come last but one."""
    figure = entry.told.get("figure") or {}
    return {
        "trial": entry.number,
        "status": entry.status,
        "loss": entry.loss,
        "value": figure.get("value"),
        "lo": figure.get("lo"),
        "hi": figure.get("hi"),
        "epochs": len(entry.told.get("history") or ()) or None,
        "seconds": entry.told.get("seconds"),
        "chosen": "yes" if chosen else "",
        **entry.values,
        "note": entry.told.get("note", ""),
    }


def described(entry: Entry) -> str:
    """A trial in a sentence."""
    values = in_words(entry.values)
    if entry.loss is None:
        return f"trial {entry.number}: {entry.status}, {entry.told.get('note', '')} ({values})"
    figure = (entry.told.get("figure") or {}).get("value")
    share = f", {figure:.1%}" if entry.status == FINISHED and figure is not None else ""
    ended = "" if entry.status == FINISHED else f", {entry.status}: {entry.told.get('note', '')}"
    return f"trial {entry.number}: loss on val {entry.loss:.4f}{share}{ended} ({values})"


def in_words(values: Mapping[str, Value]) -> str:
    """The values of a trial."""
    return ", ".join(f"{name} {_short(value)}" for name, value in values.items())


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
