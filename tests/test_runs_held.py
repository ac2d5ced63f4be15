"""A run is written by one process at a time, says truly how it ended, and goes on after any end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

import linnaea as ln
from linnaea.errors import RunError
from linnaea.run import Run
from linnaea.runtime.locks import LOCK, held, holder_of

TRAINING = ("--model", "scratch", "--weights", "none", "--epochs", "100000", "--augment", "none")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Dark and bright noise, in class folders."""
    folder, generator = tmp_path_factory.mktemp("data") / "photos", np.random.default_rng(0)
    for label, level in (("bright", 150), ("dark", 20)):
        (folder / label).mkdir(parents=True)
        for number in range(20):
            pixels = generator.integers(level, level + 90, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number:03}.png")
    return folder


@pytest.fixture(scope="module")
def finished(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "finished"
    ln.train(photos, out=folder, model="majority,hog", weights="none")
    return folder


@pytest.mark.parametrize("came_from", [{"members": ["a", "b"]}, {"grown_from": "a"}])
def test_what_cannot_be_continued_does_not_promise_it(came_from, tmp_path):
    run = Run.create(tmp_path / "both", came_from, "linnaea ensemble a b --out both")
    assert run.how_to_go_on().endswith("cannot be continued: remove the folder and start again.")
    run = Run.create(tmp_path / "one", {"data": "photos"}, "linnaea train photos")
    assert run.how_to_go_on() == "Continue it with: linnaea train photos --resume"


def test_a_folder_is_held_by_one(tmp_path):
    assert holder_of(tmp_path) is None
    with held(tmp_path):
        assert f"process {os.getpid()} on " in holder_of(tmp_path)
        with (
            pytest.raises(RunError, match=rf"in use by process {os.getpid()} on .*: wait until it has ended"),
            held(tmp_path),
        ):
            pass
    assert list(tmp_path.iterdir()) == []
    assert holder_of(tmp_path) is None


def test_many_at_once_take_turns(tmp_path):
    """The lock file comes and goes; two that open it at the same time never both hold it."""
    inside, most, done = [], [], []

    def work():
        while len(done) < 200:
            try:
                with held(tmp_path):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
                    done.append(1)
            except RunError:
                time.sleep(0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


def test_a_lock_that_a_killed_process_left_means_nothing(tmp_path, photos):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / LOCK).write_text("process 1 on elsewhere\n")
    assert holder_of(folder) is None
    ln.train(photos, out=folder, model="majority", weights="none")
    assert Run.open(folder).record()["status"] == "finished"
    assert not (folder / LOCK).exists()


def test_what_writes_into_a_run_is_refused_while_it_is_held(finished, photos):
    before = (finished / "run.json").read_bytes()
    with held(finished):
        for write in (
            lambda: ln.evaluate(finished),
            lambda: ln.export(finished),
            lambda: ln.discover(finished, photos),
            lambda: ln.train(photos, out=finished, resume=True, model="majority,hog", weights="none"),
            lambda: ln.train(photos, out=finished, model="majority,hog", weights="none"),
        ):
            with pytest.raises(RunError, match="is in use by process"):
                write()
        assert len(ln.predict(finished, photos / "dark" / "000.png")) == 1
    assert (finished / "run.json").read_bytes() == before
    assert ln.evaluate(finished).figures["accuracy"].n


def start(*words, folder):
    command = [sys.executable, "-m", "linnaea", *map(str, words)]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(file, process):
    deadline = time.monotonic() + 180
    while not file.exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_training_that_is_stopped_from_outside_goes_on(photos, tmp_path, number):
    process = start("train", photos, "--out", "run", *TRAINING, folder=tmp_path)
    run = Run(tmp_path / "run")
    wait_for(tmp_path / "run" / "history.csv", process)
    if number == signal.SIGKILL:
        second = start("train", photos, "--out", "run", *TRAINING, "--resume", folder=tmp_path)
        out, told = second.communicate(timeout=180)
        assert (second.returncode, out) == (2, "")
        assert f"run is in use by process {process.pid} on " in told
    with pytest.raises(RunError, match=f"process {process.pid} on .* is working in it"):
        run.require_finished()
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    again = f"linnaea train {photos} --out run {' '.join(TRAINING)} --resume"
    if number == signal.SIGTERM:
        assert process.returncode == 143
        assert told.splitlines()[-2:] == [f"The run run was stopped. Continue it with: python -m {again}", "Stopped."]
        assert run.record()["status"] == "interrupted"
    else:
        with pytest.raises(RunError, match="was killed before it was finished"):
            run.require_finished()
    epochs = len(run.read_rows("history.csv"))
    options = {"model": "scratch", "weights": "none", "epochs": 100_000, "augment": []}
    ln.train(photos, out=run.folder, resume=True, time_limit=2, **options)
    assert run.record()["status"] == "finished"
    found = [int(row["epoch"]) for row in run.read_rows("history.csv")]
    assert found == list(range(1, len(found) + 1))
    assert number == signal.SIGKILL or len(found) > epochs, "a training that was asked to end has lost nothing"
    assert not list(run.folder.rglob(".*"))


def test_the_latest_run_that_nobody_is_at_work_in_is_continued(finished, photos, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    arguments = Run(finished).record()["arguments"] | {"model": "majority"}
    for name, when in (("old", "2001"), ("live", "2002"), ("broken", "2003")):
        Run.create(tmp_path / "runs" / name, arguments, "linnaea train photos").update(started=when)
    (tmp_path / "runs" / "broken" / "run.json").write_text('{"status": "runn')
    with held(tmp_path / "runs" / "live"):
        ln.train(photos, resume=True, model="majority", weights="none")
    assert Run.open("runs/old").record()["status"] == "finished"
    assert "broken is skipped" in caplog.text
    with pytest.raises(RunError, match="is not valid JSON"):
        ln.evaluate("runs/broken")


@pytest.mark.parametrize(
    ("entry", "value"), [("notes", None), ("test_opened", 3), ("arguments", []), ("timings", None), ("started", 0)]
)
def test_a_record_that_was_changed_is_refused_with_words(finished, tmp_path, entry, value):
    run = Run(shutil.copytree(finished, tmp_path / "changed"))
    record = json.loads(run.record_file.read_text())
    run.record_file.write_text(json.dumps({**record, entry: value}))
    with pytest.raises(RunError, match=f"run.json was changed: {entry} should be there"):
        ln.evaluate(run.folder)


def test_a_run_that_cannot_be_written_is_not_judged(finished, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    folder = shutil.copytree(finished, tmp_path / "sealed")
    folder.chmod(0o555)
    try:
        with pytest.raises(PermissionError):
            ln.evaluate(folder)
    finally:
        folder.chmod(0o755)
