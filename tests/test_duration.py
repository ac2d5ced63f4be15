"""Durations as people write them."""

import pytest

from linnaea.errors import UsageError
from linnaea.runtime.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("1.5m", 90),
        ("10m", 600),
        ("1h30m", 5400),
        (" 2H ", 7200),
        (45, 45),
        (0.5, 0.5),
        (None, None),
    ],
)
def test_durations_in_seconds(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5m", "10 m", "5w", "m", "1m-", "0", "0s", -3, float("nan")])
def test_anything_else_says_what_was_expected(text):
    with pytest.raises(UsageError, match="expected"):
        parse_duration(text)
