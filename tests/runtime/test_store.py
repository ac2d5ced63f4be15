"""The store: what goes in comes out, and nothing else."""

import multiprocessing
import os
import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnaea.errors import UsageError
from linnaea.runtime import cache
from linnaea.runtime.sizes import parse_bytes
from linnaea.runtime.store import Stamp, Store


def rows_of(numbers):
    return np.array(numbers, dtype=np.uint8).reshape(-1, 1) * np.ones((1, 12), dtype=np.uint8)


def find(store, namespace, keys, width=12):
    out = np.zeros((len(keys), width), dtype=np.uint8)
    return store.find(namespace, keys, out), out


@given(st.lists(st.lists(st.integers(0, 200), max_size=8), max_size=4), st.lists(st.integers(0, 200), max_size=8))
@settings(max_examples=25, deadline=None)
def test_what_was_added_last_is_found(tmp_path_factory, batches, asked):
    store, known = Store(tmp_path_factory.mktemp("store"), 10**6), {}
    for number, batch in enumerate(batches):
        store.add("a", [str(value) for value in batch], rows_of(batch) + number)
        known |= {value: value + number for value in batch}
    found, out = find(store, "a", [str(value) for value in asked])
    assert found.tolist() == [value in known for value in asked]
    assert out[found].tolist() == [[known[value]] * 12 for value in asked if value in known]
    assert not find(store, "b", [str(value) for value in asked])[0].any()


def test_rows_of_another_shape_are_not_given(tmp_path):
    store = Store(tmp_path, 10**6)
    store.add("a", ["1"], rows_of([1]))
    assert not find(store, "a", ["1"], width=6)[0].any()


def test_a_flipped_byte_is_noticed(tmp_path):
    store = Store(tmp_path, 10**6)
    store.add("a", ["1", "2"], rows_of([1, 2]))
    (segment,) = tmp_path.glob("*.rows")
    content = bytearray(segment.read_bytes())
    content[3] ^= 1
    segment.write_bytes(content)
    assert find(store, "a", ["1", "2"])[0].tolist() == [False, True]


def test_a_segment_that_is_gone_or_cut_off_is_noticed(tmp_path):
    store = Store(tmp_path, 10**6)
    store.add("a", ["1"], rows_of([1]))
    store.add("a", ["2"], rows_of([2]))
    first, second = tmp_path.glob("*.rows")
    first.unlink()
    second.write_bytes(b"xx")
    assert not find(store, "a", ["1", "2"])[0].any()


def test_the_least_recently_used_goes_first(tmp_path):
    store = Store(tmp_path, 36)
    for number in (1, 2, 3):
        store.add("a", [str(number)], rows_of([number]))
    find(store, "a", ["1"])
    store.add("a", ["4"], rows_of([4]))
    assert find(store, "a", ["1", "2", "3", "4"])[0].tolist() == [True, False, True, True]
    assert sum(path.stat().st_size for path in tmp_path.glob("*.rows")) <= 36
    store.add("a", ["5"] * 4, rows_of([5] * 4))
    assert not find(store, "a", ["5"])[0].any()  # more than the store may hold


def test_what_a_killed_process_left_is_swept_away(tmp_path):
    store = Store(tmp_path, 10**6)
    for name in ("dead.partial", "dead.rows"):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (0, 0))
    store.add("a", ["1"], rows_of([1]))
    assert not list(tmp_path.glob("dead*"))
    assert find(store, "a", ["1"])[0].all()
    assert store.clear() == 12
    assert not list(tmp_path.glob("*.rows"))


def fill(folder, start):
    store = Store(folder, 10**6)
    for number in range(start, start + 20):
        store.add("a", [str(number)], rows_of([number]))


def test_two_processes_may_write_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=fill, args=(tmp_path, start)) for start in (0, 20)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    found, out = find(Store(tmp_path, 10**6), "a", [str(number) for number in range(40)])
    assert found.all()
    assert (out[:, 0] == np.arange(40)).all()


def test_a_changed_file_is_not_known(tmp_path):
    store, file = Store(tmp_path / "store", 10**6), tmp_path / "photo.jpg"
    file.write_bytes(b"one")
    os.utime(file, ns=(10**18, 10**18))
    store.remember([Stamp.of(file)], ["hash"])
    assert store.hashes([Stamp.of(file), None]) == ["hash", None]
    os.utime(file, ns=(10**18 + 1, 10**18 + 1))
    assert store.hashes([Stamp.of(file)]) == [None]
    file.write_bytes(b"two")  # just now: it may change again without a new time stamp
    store.remember([Stamp.of(file)], ["other"])
    assert store.hashes([Stamp.of(file)]) == [None]


def test_sizes_are_parsed():
    assert [parse_bytes(text) for text in ("12", "1.5 kb", "20GB")] == [12, 1500, 20 * 10**9]
    with pytest.raises(UsageError, match="expected something like"):
        parse_bytes("a lot")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), sqlite3.OperationalError("disk I/O error")])
def test_a_disk_that_refuses_is_told_once_and_work_goes_on(tmp_path, monkeypatch, caplog, error):
    def refuse(store):
        raise error

    monkeypatch.setenv("LINNAEA_CACHE", str(tmp_path / "refusing"))
    assert cache.cached(refuse, otherwise=7) == 7
    assert cache.cached(lambda store: 8, otherwise=7) == 7
    (record,) = caplog.records
    assert "the work continues without it" in record.message
    monkeypatch.setenv("LINNAEA_CACHE", "none")
    assert cache.cached(lambda store: 8, otherwise=7) == 7
