"""What the words mean that are given on the command line or in a recipe."""

from collections.abc import Mapping, Sequence

from linnaea.errors import UsageError

SPLITS = ("train", "val", "test")


def names_in(text: str | Sequence[str]) -> list[str]:
    """The names in "a, b"; none in "none"."""
    if not isinstance(text, str):
        return list(text)
    return [] if text == "none" else [name.strip() for name in text.split(",")]


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
