"""What is being done is said, now and then, where no bar can be shown."""

import io
import logging
import sys
import time

import pytest

from linnaea.runtime import progress
from linnaea.runtime.clock import command_started, start_command
from linnaea.runtime.duration import spoken
from linnaea.runtime.progress import advancing, track, working


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


class Terminal(io.StringIO):
    """What is written to it is kept."""

    def isatty(self):
        return True


def test_work_that_says_how_far_it_is_is_told_with_the_time_left(often, monkeypatch):
    monkeypatch.setattr(progress, "GLANCE", 0.0)
    with working("ladder"), advancing("training") as work:
        work.tell(0.5, lambda: "epoch 3 of at most 4")  # two epochs were done before, by a run that was broken off
        work.started -= 10
        work.tell(0.75, lambda: "epoch 4 of at most 4, loss 0.123")
        time.sleep(0.1)
    assert "ladder, training: epoch 4 of at most 4, loss 0.123, about 10 s left" in often.messages


def test_what_is_costly_to_look_at_is_looked_at_now_and_then():
    looks = []
    with advancing("training") as work:
        for step in range(100):
            work.tell(step / 100, lambda: looks.append(1) or "")
    assert len(looks) == 1


def test_a_terminal_shows_one_bar_with_the_time_left_and_lines_above_it(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(progress, "GLANCE", 0.0)
    handler = logging.StreamHandler(terminal)
    logging.getLogger().addHandler(handler)
    try:
        with advancing("training") as work:
            for step in range(1, 4):
                work.tell(step / 4, lambda: "loss 0.123")
                assert list(track(range(3), "inner", 3)) == [0, 1, 2]  # one bar is enough
                time.sleep(0.15)
            logging.getLogger("linnaea").warning("a line")
    finally:
        logging.getLogger().removeHandler(handler)
    assert "training: loss 0.123" in terminal.getvalue()
    assert "about 0 s left" in terminal.getvalue()
    assert "inner" not in terminal.getvalue()
    assert "a line\n" in terminal.getvalue()
    assert handler.stream is terminal


@pytest.mark.parametrize(
    ("seconds", "words"), [(7.6, "8 s"), (89, "89 s"), (150, "2 min"), (3700, "62 min"), (7500, "2 h 05 min")]
)
def test_time_left_is_told_roughly(seconds, words):
    assert spoken(seconds) == words


def test_a_command_starts_its_clock_before_the_libraries_are_loaded():
    start_command()
    time.sleep(0.05)
    assert time.monotonic() - command_started() >= 0.05
    assert time.monotonic() - command_started() < 0.05  # asked again, it is another verb
