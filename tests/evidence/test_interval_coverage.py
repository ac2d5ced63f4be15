"""A small version of `python -m benchmarks interval_coverage`: intervals hold the truth, or say they are narrow."""

import pytest

from benchmarks import interval_coverage
from benchmarks.interval_coverage import World, coverage

SAMPLES = 50
LEAST = 0.84  # 50 samples of 95 % lie below it less than once in two hundred times


@pytest.fixture(autouse=True)
def smaller(monkeypatch):
    monkeypatch.setattr(interval_coverage, "LARGE", 20_000)


@pytest.mark.parametrize(
    ("n", "classes", "balanced", "images"),
    [(50, 5, True, "alone"), (60, 20, True, "groups"), (100, 2, False, "groups of one class")],
)
def test_intervals_hold_the_truth_or_say_that_they_are_too_narrow(n, classes, balanced, images):
    for name, count in coverage(World(classes, balanced, images), n, SAMPLES).items():
        assert count.told < 10 or count.held / count.told >= LEAST, (name, count)
        assert count.told + count.narrow <= SAMPLES


def test_most_samples_are_not_called_too_small():
    for name, count in coverage(World(5, True, "alone"), 100, 20).items():
        assert count.narrow == 0, name
