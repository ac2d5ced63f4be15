"""What is being done is said, now and then, where no bar can be shown."""

import logging
import time

import pytest

from linnaea.runtime import progress
from linnaea.runtime.clock import command_started, start_command
from linnaea.runtime.progress import track, working


@pytest.fixture
def often(monkeypatch, caplog):
    monkeypatch.setattr(progress, "EVERY", 0.02)
    caplog.set_level(logging.INFO, logger="linnaea")
    return caplog


def test_a_piped_command_says_what_it_does_and_how_far_it_is(often):
    with working("ladder"):
        for _ in track(range(4), "embedding", 4):
            time.sleep(0.05)
    assert any("ladder, embedding: 2 of 4, about" in line for line in often.messages)


def test_work_without_steps_says_how_long_it_takes(often):
    with working("calibrate"):
        time.sleep(0.1)
    assert "calibrate: 0 s so far" in often.messages


def test_quick_work_says_nothing_and_nothing_speaks_when_all_is_done(often):
    with working("quick"):
        pass
    time.sleep(0.1)
    assert not often.messages


def test_the_outermost_work_that_counts_is_told(often):
    with working("outer", 10) as work:
        work.done = 5
        for _ in track(range(3), "inner", 3):
            time.sleep(0.05)
    assert often.messages
    assert all(line.startswith("outer: 5 of 10") for line in often.messages)


def test_an_error_inside_ends_the_telling(often):
    with pytest.raises(ZeroDivisionError), working("broken"):
        raise ZeroDivisionError
    with working("next"):
        time.sleep(0.1)
    assert all(line.startswith("next") for line in often.messages)


def test_a_command_starts_its_clock_before_the_libraries_are_loaded():
    start_command()
    time.sleep(0.05)
    assert time.monotonic() - command_started() >= 0.05
    assert time.monotonic() - command_started() < 0.05  # asked again, it is another verb
