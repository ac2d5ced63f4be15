"""A plan is measured once per machine, and whatever becomes of the file it is kept in, never in the way."""

import json
import logging
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from linnaea.runtime.cache import clear_cache, describe_cache
from linnaea.runtime.plan import measure

WRITER = """
import sys
from linnaea.runtime.plan import Plan
from linnaea.runtime.plan.remembered import recall, remember
own = Plan("cpu", sys.argv[1], batch_size=int(sys.argv[2]))
for _ in range(300):
    remember({"a": "key"}, own)
    found = recall({"a": "key"})
    assert found is not None and (found.precision, found.batch_size) in (("float32", 1), ("bfloat16", 2)), found
"""


def measured(own, **options):
    return measure("cpu", own.workload, clock=own.clock, **options)


@pytest.fixture
def kept(machine, tmp_path):
    """The folder of the plans."""
    return tmp_path / "cache" / "plans"


def test_what_was_measured_is_not_measured_again(bench, kept):
    first, again = measured(bench()), bench()
    known = measured(again)
    assert (known.source, known.measured, known.precision) == ("remembered", first.measured, "bfloat16")
    assert [images for *_, images in again.steps] == [2], "one small step, to see that it still works"
    assert len(list(kept.iterdir())) == 1


def test_a_remembered_float32_is_taken_without_a_look(bench, kept, make_speeds):
    speeds = make_speeds(bfloat16=(9.0, 9.0))
    measured(bench(speeds))
    again = bench(speeds)
    assert measured(again).source == "remembered"
    assert again.now == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"processor": "another"},
        {"cores": 64},
        {"instructions": ("avx2",)},
        {"accelerators": ("cuda: a card",)},
        {"torch": "2.16.0"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_plan_of_another_machine_is_not_used(changes, bench, kept, machine):
    measured(bench())
    machine(**changes)
    assert measured(bench()).source == "measured"
    machine()
    assert measured(bench()).source == "remembered"


def test_memory_that_comes_and_goes_makes_no_other_machine(bench, kept, machine):
    measured(bench())
    machine(memory=1)
    assert measured(bench()).source == "remembered"


@pytest.mark.parametrize(
    "other",
    [{"name": "b"}, {"purpose": "train"}, {"shape": (9, 9, 3)}, {"batch_size": 8}],
    ids=lambda other: next(iter(other)),
)
def test_a_plan_of_other_work_is_not_used(other, bench, kept):
    measured(bench())
    own = bench()
    for name, value in other.items():
        object.__setattr__(own.workload, name, value)
    assert measured(own).source == "measured"


def test_a_plan_for_other_threads_is_not_used(bench, kept):
    measured(bench())
    torch.set_num_threads(2)
    assert measured(bench()).source == "measured"


def test_anew_means_anew(bench, kept, make_speeds):
    assert measured(bench()).precision == "bfloat16"
    slow = make_speeds(bfloat16=(9.0, 9.0))
    assert measured(bench(slow)).precision == "bfloat16"
    assert measured(bench(slow), anew=True).precision == "float32"
    assert measured(bench(slow)).precision == "float32", "and is remembered"


def test_a_file_that_was_moved_from_another_key_is_not_used(bench, kept, machine):
    measured(bench())
    (file,) = kept.iterdir()
    content = json.loads(file.read_text())
    content["key"]["machine"] = "of somebody else"
    file.write_text(json.dumps(content))
    assert measured(bench()).source == "measured"


def test_weights_that_overflow_are_measured_anew(bench, kept, caplog):
    measured(bench())
    plan = measured(bench(wrong={"bfloat16": math.nan}))
    assert (plan.precision, plan.source) == ("float32", "measured")
    assert "The remembered plan is measured again: bfloat16 gives NaN or infinity." in caplog.text


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"\xff\xfe\x00",
        lambda content: json.dumps(content).encode()[:-40],
        lambda content: b"[1, 2]",
        lambda content: json.dumps(content | {"content": None}).encode(),
        lambda content: json.dumps(content | {"content": [1]}).encode(),
        lambda content: json.dumps(content | {"content": content["content"] | {"precision": "int8"}}).encode(),
        lambda content: json.dumps(content | {"content": content["content"] | {"batch_size": "x"}}).encode(),
        lambda content: json.dumps(content | {"content": content["content"] | {"measured": {"a b": {}}}}).encode(),
        lambda content: json.dumps({"key": content["key"]}).encode(),
    ],
    ids=["empty", "bytes", "cut", "list", "null", "no plan", "unknown", "batch", "timings", "no content"],
)
def test_a_damaged_file_is_ignored_and_replaced(damage, bench, kept, caplog):
    measured(bench())
    (file,) = kept.iterdir()
    file.write_bytes(damage(json.loads(file.read_text())))
    with caplog.at_level(logging.DEBUG, "linnaea"):
        assert measured(bench()).source == "measured"
    told = [record for record in caplog.records if "measured again" in record.getMessage()]
    assert all(record.levelno == logging.DEBUG for record in told)
    assert measured(bench()).source == "remembered"


def test_where_nothing_can_be_kept_work_goes_on(bench, kept, caplog):
    kept.parent.mkdir()
    kept.write_text("a file where the folder should be")
    with caplog.at_level(logging.DEBUG, "linnaea"):
        assert [measured(bench()).source for _ in range(2)] == ["measured"] * 2
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


def test_a_full_disk_leaves_the_plan_that_was_there(bench, kept, monkeypatch, make_speeds):
    measured(bench())

    def refuse(path, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    measured(bench(make_speeds(bfloat16=(9.0, 9.0))), anew=True)
    monkeypatch.undo()
    assert len(list(kept.iterdir())) == 1, "nothing half-written"


def test_with_the_cache_switched_off_nothing_is_kept(bench, kept, monkeypatch):
    monkeypatch.setenv("LINNAEA_CACHE", "none")
    assert [measured(bench()).source for _ in range(2)] == ["measured"] * 2
    assert not kept.exists()


def test_the_cache_shows_and_clears_the_plans(bench, kept):
    measured(bench())
    measured(bench(batch_size=8))
    size = sum(file.stat().st_size for file in kept.iterdir())
    (row,) = [row for row in describe_cache()["contents"] if row["namespace"] == "execution plans"]
    assert (row["rows"], row["bytes"]) == (2, size)
    assert clear_cache() == size
    assert describe_cache()["contents"] == []


def test_two_processes_may_write_at_once(kept):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, precision, str(batch)], stderr=subprocess.PIPE, text=True)
        for precision, batch in (("float32", 1), ("bfloat16", 2))
    ]
    for writer in writers:
        _, said = writer.communicate(timeout=300)
        assert writer.returncode == 0, said
    assert len(list(kept.iterdir())) == 1, "nothing half-written"
