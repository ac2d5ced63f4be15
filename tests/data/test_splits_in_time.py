"""Splits in time: train before val before test, nothing of one time or one unit apart, no time by alphabet."""

from collections import Counter
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

import linnaea
from linnaea.data.splits import split
from linnaea.data.times import moments
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError


def dataset_of(times, labels=None, **columns):
    labels = list(labels or ["a", "b"] * len(times))[: len(times)]
    paths = [f"{number:04}.png" for number in range(len(times))]
    table = pa.table({"path": paths, "label": labels, "time": pa.array(times), **columns})
    return Dataset(table, tuple(sorted(set(labels))), "multiclass", Path())


def times_by_part(dataset):
    return {name: dataset.split(name).column("time") for name in ("train", "val", "test")}


def assert_in_order(dataset):
    parts = times_by_part(dataset)
    assert all(parts.values())
    assert max(parts["train"]) < min(parts["val"])
    assert max(parts["val"]) < min(parts["test"])


@settings(max_examples=60, deadline=None)
@given(times=st.lists(st.integers(0, 40), min_size=3, max_size=80), data=st.data())
def test_parts_are_in_order_ties_stay_together_and_the_order_of_rows_does_not_matter(times, data):
    assume(len(set(times)) >= 3)
    dataset = dataset_of(times)
    done = split(dataset, by="time")
    assert len(done) == len(dataset)
    assert_in_order(done)
    order = data.draw(st.permutations(range(len(times))))
    again = split(dataset.take(order), by="time")
    assert dict(zip(done.ids, done.column("split"), strict=True)) == dict(
        zip(again.ids, again.column("split"), strict=True)
    )


@settings(max_examples=80, deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 25)), min_size=3, max_size=80), data=st.data())
def test_units_go_to_the_later_part_and_leave_their_earlier_images_out(rows, data):
    times, groups = [time for time, _ in rows], np.array([group for _, group in rows])
    dataset = dataset_of(times)
    try:
        done = split(dataset, groups, by="time")
    except DataError:
        return
    assert_in_order(done)
    group_of = dict(zip(dataset.ids, groups.tolist(), strict=True))
    part_of = dict(zip(done.ids, done.column("split"), strict=True))
    for group in set(groups.tolist()):
        assert len({part for path, part in part_of.items() if group_of[path] == group}) == 1
    time_of = dict(zip(dataset.ids, times, strict=True))
    for entry in done.excluded:
        assert "continues into a later split" in entry.reason
        later = [path for path in part_of if group_of[path] == group_of[entry.path]]
        assert min(time_of[path] for path in later) > time_of[entry.path]
    order = data.draw(st.permutations(range(len(rows))))
    again = split(dataset.take(order), groups[list(order)], by="time")
    assert part_of == dict(zip(again.ids, again.column("split"), strict=True))


def test_a_group_over_a_border_is_where_its_last_image_is(caplog):
    done = split(dataset_of(list(range(20))), np.array([*range(13), 99, 99, *range(15, 20)]), by="time")
    assert Counter(done.column("split")) == {"train": 13, "val": 3, "test": 3}
    assert [entry.path for entry in done.excluded] == ["0013.png"]
    assert "1 images are left out of the splits" in caplog.text


def test_fractions_are_kept_as_far_as_ties_allow():
    done = split(dataset_of(list(range(100))), by="time", fractions={"train": 0.8, "val": 0.1, "test": 0.1})
    assert Counter(done.column("split")) == {"train": 80, "val": 10, "test": 10}
    tied = split(dataset_of([1] * 60 + [2] * 20 + [3] * 20), by="time")
    assert Counter(tied.column("split")) == {"train": 60, "val": 20, "test": 20}


def test_two_parts_need_one_border():
    done = split(dataset_of([1, 2, 3, 4]), by="time", fractions={"train": 0.5, "val": 0, "test": 0.5})
    assert done.column("split") == ["train", "train", "test", "test"]


def test_a_missing_val_is_the_latest_of_train():
    dataset = dataset_of(list(range(20)), split=["train"] * 16 + ["test"] * 4)
    assert_in_order(split(dataset, by="time"))


def test_given_splits_leave_nothing_to_split():
    dataset = dataset_of([1, 2, 3], split=["train", "val", "test"])
    with pytest.raises(UsageError, match="cannot be split by time"):
        split(dataset, by="time")


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([1, None, 3, None], "2 of 4 images have no time .first 0001.png"),
        (["2024-05-01", "", "2024-05-02"], "1 of 3 images have no time"),
        (["2024-05-01", "12/05/2024", "May"], "2 of 3 times .* .first '12/05/2024'"),
        (["3", "2024-05-01", "4"], "2 of 3 times"),
        (["2024-05-01T12:00:00", "2024-05-01T12:00:00Z", "2024-05-02T12:00:00Z"], "2 of 3 times have a time zone"),
        ([1, 1, 2, 2], "2 different times: expected at least 3"),
    ],
)
def test_what_has_no_order_is_refused(times, message):
    with pytest.raises(DataError, match=message):
        split(dataset_of(times), by="time")


def test_images_without_times_are_refused():
    dataset = Dataset(pa.table({"path": ["1.png"], "label": ["a"]}), ("a",), "multiclass", Path())
    with pytest.raises(DataError, match="expected a column `time` beside path, label"):
        split(dataset, by="time")


def test_groups_that_last_all_the_time_leave_no_train():
    with pytest.raises(DataError, match="no image is left for train"):
        split(dataset_of(list(range(20))), np.array([0, 1] * 10), by="time")


@pytest.mark.parametrize(
    "values",
    [
        ["9", "10", "11.5", "1e3"],
        [9, 10.5, 11],
        ["2023-12-31", "2024-01-01T00:00:01", "2024-01-01 10:00:00"],
        ["2023-12", "2024-01", "2024-02-01"],
        ["2024:01:31 23:00:00", "2024:02:01 01:00:00"],
        ["2024-01-01T12:00:00+02:00", "2024-01-01T10:30:00Z", "2024-01-01T12:00:00+00:00"],
        ["20231231", "20240101"],
        [datetime(2024, 1, 1), datetime(2024, 1, 1, 12)],
        [date(2024, 1, 1), date(2024, 1, 2)],
        [10**18, 10**18 + 1],
    ],
)
def test_times_are_read_as_what_they_mean(values):
    assert moments(values).tolist() == list(range(len(values)))
    assert moments([None, *reversed(values), ""]).tolist() == [-1, *reversed(range(len(values))), -1]


@given(values=st.lists(st.one_of(st.none(), st.floats(allow_infinity=False)), max_size=30))
@settings(deadline=None)
def test_numbers_are_ranked_as_numpy_does(values):
    known = np.array([value for value in values if value is not None and value == value])
    places = moments(values)
    assert places[places >= 0].tolist() == np.unique(known, return_inverse=True)[1].tolist()


def test_true_is_no_time():
    with pytest.raises(DataError, match="first True"):
        moments([True, False])


def test_a_run_is_split_in_time_and_its_manifest_keeps_the_times(tmp_path):
    rows = []
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 256, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number:02}.png")
        rows.append(f"{number:02}.png,{'ab'[number % 2]},2024-05-{24 - number:02},{number // 2 if number > 9 else ''}")
    (tmp_path / "labels.csv").write_text("path,label,time,group\n" + "\n".join(rows) + "\n")
    linnaea.train(tmp_path, out=tmp_path / "run", model="majority", split_by="time")
    run = linnaea.Run.open(tmp_path / "run")
    assert run.record()["arguments"]["split_by"] == "time"
    assert_in_order(run.dataset())
    assert "time_across_splits" not in (tmp_path / "run" / "findings" / "audit.json").read_text()
    assert [finding.name for finding in linnaea.check_split(run.dataset(), split_by="time")] == ["shares"]
