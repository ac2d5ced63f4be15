"""A registry: names once, in order, with a suggestion for a wrong one."""

import pytest

from linnaea.errors import UsageError
from linnaea.registry import Registry


def test_members_keep_their_order_and_their_names():
    registry: Registry[int] = Registry("number")
    assert registry.register("two")(2) == 2
    registry.register("one")(1)
    assert list(registry) == ["two", "one"]
    assert list(registry.items()) == [("two", 2), ("one", 1)]
    assert len(registry) == 2
    assert "one" in registry
    assert "three" not in registry
    assert registry["one"] == 1


def test_an_unknown_name_is_answered_with_the_known_ones_and_a_suggestion():
    registry: Registry[int] = Registry("colour")
    registry.register("green")(1)
    with pytest.raises(UsageError, match=r"unknown colour 'gren': expected one of green\. Did you mean 'green'\?"):
        registry["gren"]
    with pytest.raises(UsageError, match=r"unknown colour 'zzz': expected one of green\.$"):
        registry["zzz"]


def test_a_name_is_given_once():
    registry: Registry[int] = Registry("number")
    registry.register("one")(1)
    with pytest.raises(UsageError, match="already registered"):
        registry.register("one")(1)
    assert registry["one"] == 1
