"""What more images would show: intervals from more of them, and how many would decide a question."""

import math

import pytest

from linnaea.evidence.outlook import images_to_clear, independent_images, with_more_images
from linnaea.finding import Estimate
from linnaea.statistics.shares import limits_of_share


def share(count, n, images=None):
    """The share `count` of `n` with Wilson's limits; `images` is what is said to stand behind it."""
    return Estimate(count / n, *limits_of_share(count, n), images or n, "Wilson")


@pytest.mark.parametrize(("count", "n"), [(9, 10), (0, 12), (12, 12), (431, 500), (1, 2)])
def test_independent_images_count_as_themselves_and_more_of_them_as_wilson_says(count, n):
    assert independent_images(share(count, n)) == pytest.approx(n)
    for times in (2, 4):
        assert with_more_images(share(count, n), times) == pytest.approx(limits_of_share(times * count, times * n))


def test_images_in_groups_count_as_fewer_ones_and_never_as_more():
    grouped = share(36, 40, images=120)
    assert independent_images(grouped) == pytest.approx(40)
    assert with_more_images(grouped, 4) == pytest.approx(limits_of_share(144, 160))
    assert independent_images(share(90, 100, images=30)) == 30


@pytest.mark.parametrize(("count", "n", "bound"), [(46, 50, 0.9), (30, 30, 0.9), (4, 50, 0.1), (70, 80, 0.9)])
def test_as_many_images_as_are_said_to_decide_it_do_and_fewer_do_not(count, n, bound):
    needed = images_to_clear(share(count, n), bound)
    for images, decides in ((math.ceil(needed) + 1, True), (0.9 * needed, False)):
        lo, hi = limits_of_share(count / n * images, images)
        assert (lo > bound or hi < bound) == decides


def test_no_number_decides_what_lies_on_the_bound_or_at_the_edge_of_shares():
    assert images_to_clear(share(9, 10), 0.9) is None
    assert images_to_clear(share(10, 10), 1.0) is None
    assert images_to_clear(Estimate(0.8, None, None, 10, "no interval"), 0.9) is None
    assert images_to_clear(Estimate(None, None, None, 0, "not defined"), 0.9) is None


def test_a_mean_needs_as_many_images_as_shrink_its_interval_to_the_distance():
    mean = Estimate(0.2, -0.2, 0.6, 50, "bootstrap")
    assert images_to_clear(mean, 0.0, is_share=False) == pytest.approx(200)
