"""Windows of images or of time, and images and slices that are unlike the reference."""

import numpy as np
import pytest
from windows import made

from linnaea.delivery.monitoring.cutting import cut_into_windows, parse_window, set_back
from linnaea.delivery.monitoring.unlike import different_slices, unlike_images
from linnaea.errors import UsageError

DAY = 86_400


def test_windows_of_images_keep_the_order_and_the_rest():
    windows = cut_into_windows(made(25, 1), 10)
    assert [window.name for window in windows] == ["images 1 to 10", "images 11 to 20", "images 21 to 25"]
    assert [len(window.seen) for window in windows] == [10, 10, 5]
    assert windows[1].seen.ids == [f"1/{row}" for row in range(10, 20)]
    assert cut_into_windows(made(0, 1), 10) == []


def test_windows_of_time_go_by_the_clock_even_where_it_was_set_back():
    seen = made(4, 1).with_(times=np.array([2.2, 0.1, 0.2, 5.0]) * DAY)
    windows = cut_into_windows(seen, "1d")
    assert [window.name for window in windows] == ["1970-01-01", "1970-01-03", "1970-01-06"]
    assert [window.seen.ids for window in windows] == [["1/1", "1/2"], ["1/0"], ["1/3"]]
    assert set_back(seen) == "The clock was set back 1 time while these images were answered."
    assert set_back(made(4, 1)) == ""


@pytest.mark.parametrize("given", ["0", "-3", "often", "", "1w"])
def test_what_is_no_window_is_refused(given):
    with pytest.raises(UsageError, match="window"):
        parse_window(given)


def test_images_far_from_the_reference_are_found_the_newest_first():
    window = made(50, 2)
    window.features[[7, 30]] += 25
    found = unlike_images(made(300, 1), window)
    assert found.by == "features"
    assert set(found.beyond.tolist()) >= {30, 7}
    assert list(found.beyond) == sorted(found.beyond, reverse=True)
    assert len(found.beyond) <= 6


def test_the_slice_that_is_unlike_is_named_and_no_other_where_none_is():
    window = made(80, 2)
    window.features[1::2] += 8  # the key north
    first, *_ = different_slices(window, unlike_images(made(300, 1), window))
    assert (first["by"], first["slice"], first["images"]) == ("key", "north", 40)
    assert first["p"] < 0.01
    same = made(80, 3)
    assert min(row["p"] for row in different_slices(same, unlike_images(made(300, 1), same))) > 0.01


def test_without_an_embedding_nothing_is_called_unlike():
    reference = made(30, 1, scores=False)
    reference.logits[:] = np.nan
    assert unlike_images(reference, made(30, 2, scores=False)) is None
