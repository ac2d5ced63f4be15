"""What the words mean that are given on the command line or in a recipe."""

from collections.abc import Mapping, Sequence
from typing import Any

from linnaea.errors import UsageError

SPLITS = ("train", "val", "test")


def names_in(text: str | Sequence[str]) -> list[str]:
    """The names in "a, b"; none in "none"."""
    if not isinstance(text, str):
        return list(text)
    return [] if text == "none" else [name.strip() for name in text.split(",")]


def pairs_in(given: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    """The values by their keys in ["key=value", ...]; raises UsageError for words of another form, and a key twice."""
    if isinstance(given, Mapping):
        return dict(given)
    found: dict[str, Any] = {}
    for word in [given] if isinstance(given, str) else given:
        key, separator, value = str(word).partition("=")
        if not separator or not key.strip():
            raise UsageError(f"{word!r} is no argument of a model: expected key=value, such as drop_rate=0.1.")
        if key.strip() in found:
            raise UsageError(f"the argument {key.strip()} of the model is given twice.")
        found[key.strip()] = value.strip()
    return found


def batch_in(text: str) -> int | str:
    """The number in "64"; other words stay what they are."""
    return int(text) if text.isdecimal() else text


def unless_none(text: str) -> str | None:
    """The text; nothing for "none"."""
    return None if text == "none" else text


def shares_in(text: str | Mapping[str, float]) -> dict[str, float]:
    """The shares of train, val and test in "0.7,0.15,0.15"."""
    if isinstance(text, Mapping):
        return dict(text)
    try:
        train, val, test = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--fractions is {text!r}; expected three shares such as 0.7,0.15,0.15.") from None
    return dict(zip(SPLITS, (train, val, test), strict=True))
