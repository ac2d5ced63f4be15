"""Several processes learn what one does, refuse what they cannot share, and end together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from material import run, smooth

from linnaea.errors import UsageError
from linnaea.experiments.several import require_shareable
from linnaea.learning.batches.order import batches_of
from linnaea.learning.job import Job
from linnaea.learning.processes import party
from linnaea.learning.processes.passing import Passed, unpacked
from linnaea.learning.recipe import TrainingRecipe
from linnaea.learning.rungs import steps_for
from linnaea.runtime.ranks import ALONE, Place, patience_in, place_in

SHARED = Path(__file__).with_name("shared.py")
MEETING = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


def trained(folder, *given):
    """What came of trainings, each by as many processes as it says."""
    wanted = [[str(folder / str(one.get("at", number))), one | {"number": number}] for number, one in enumerate(given)]
    subprocess.run([sys.executable, SHARED, json.dumps(wanted)], check=True, timeout=240)
    return [json.loads((Path(place) / f"found {one['number']}.json").read_text()) for place, one in wanted]


def same(one, other, tolerance=1e-5):
    for mine, theirs in zip(one["history"], other["history"], strict=True):
        for name in ("train_loss", "val_loss", "val_loss_calibrated", "learning_rate"):
            assert mine[name] == pytest.approx(theirs[name], abs=tolerance), name
    for name, weights in one["weights"].items():
        assert np.allclose(weights, other["weights"][name], atol=tolerance), name


@pytest.mark.slow
def test_a_loss_curve_is_that_of_one_process_with_the_same_batches(tmp_path):
    alone, two, three, whole, parts = trained(
        tmp_path,
        {"ranks": 1},
        {"ranks": 2},
        {"ranks": 3, "recipe": {"accumulate": 2, "clip_norm": 0.5}},
        {"ranks": 1, "recipe": {"accumulate": 2, "clip_norm": 0.5}},
        {"ranks": 2, "strategy": "fsdp"},
    )
    assert len(alone["history"]) == 4
    same(two, alone)
    same(three, whole)
    same(parts, alone)
    assert not np.allclose(alone["history"][0]["train_loss"], whole["history"][1]["train_loss"])


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_go_on_where_one_was_and_the_other_way_round(tmp_path, strategy):
    steps = {"optimizer": "AdamW", "rate": 0.01}
    alone, broken, again, other, back = trained(
        tmp_path,
        {"ranks": 1, **steps},
        {"ranks": 2, "strategy": strategy, "stop": 2, "at": "two", **steps},
        {"ranks": 1, "at": "two", **steps},
        {"ranks": 1, "stop": 2, "at": "one", **steps},
        {"ranks": 2, "strategy": strategy, "at": "one", **steps},
    )
    assert broken["said"] == other["said"] == "stopped"
    assert len(again["history"]) == len(back["history"]) == 4
    same(again, alone)
    same(back, alone)


@pytest.mark.slow
def test_what_diverges_ends_alike_in_all_and_what_is_dropped_out_is_not(tmp_path):
    diverged, _ = trained(
        tmp_path,
        {"ranks": 2, "rate": 1e30, "augmentations": ()},
        {"ranks": 2, "dropped": 0.5, "augmentations": (), "noise": True},
    )
    assert "training loss became" in diverged["said"]
    one, other = (torch.load(tmp_path / "1" / f"noise {rank}.pt") for rank in (0, 1))
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"RANK": "0"}, "RANK is 0, but WORLD_SIZE is not set"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but RANK is not set"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, "MASTER_ADDR and MASTER_PORT is not set"),
        ({"RANK": "2", "WORLD_SIZE": "2", **MEETING}, "RANK is '2'; expected a whole number, 0 to 1"),
        ({"RANK": "0", "WORLD_SIZE": "two", **MEETING}, "WORLD_SIZE is 'two'"),
        ({"RANK": "0", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "3", **MEETING}, "LOCAL_WORLD_SIZE is 3"),
        ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "5", **MEETING}, "LOCAL_RANK is '5'"),
    ],
)
def test_an_environment_that_does_not_fit_is_refused(given, said):
    with pytest.raises(UsageError, match=said):
        place_in(given)


def test_the_place_is_that_of_the_environment():
    assert place_in({}) == place_in({"RANK": "0", "WORLD_SIZE": "1"}) == ALONE
    assert place_in({"RANK": "1", "WORLD_SIZE": "2", **MEETING}) == Place(1, 2, 1, 2)
    given = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", **MEETING}
    assert place_in(given) == Place(5, 8, 1, 4)
    assert patience_in({}) == 90
    assert patience_in({"LINNAEA_RANK_TIMEOUT": "5s"}) == 5
    with pytest.raises(UsageError, match="LINNAEA_RANK_TIMEOUT: the duration is 'soon'"):
        patience_in({"LINNAEA_RANK_TIMEOUT": "soon"})


def test_a_strategy_is_refused_where_there_is_one_process(tmp_path, photos, monkeypatch, capsys):
    words = ["train", photos, "--strategy", "fsdp", "--out", tmp_path / "run"]
    assert run(words, monkeypatch) == 2
    assert "this is the only one" in capsys.readouterr().err


def test_more_processes_than_gpus_are_refused(tmp_path, photos, monkeypatch, capsys):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", **MEETING}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert run(["train", photos, "--device", "cuda", "--out", tmp_path / "run"], monkeypatch) == 2
    assert "2 processes were started on a machine with 1 GPUs" in capsys.readouterr().err


@pytest.fixture
def among_four(monkeypatch):
    """This process is the first of four."""

    class Four:
        place, strategy = Place(0, 4, 0, 4), "fsdp"

    monkeypatch.setattr(party, "_PARTY", [Four()])


def test_what_four_cannot_share_is_refused_and_what_is_done_once_is_said(among_four):
    steps, _ = steps_for("hog,lenet5", "none")
    told = require_shareable(TrainingRecipe(), 4, steps)
    assert told[0].startswith("4 processes train networks together (fsdp)")
    assert told[1] == "The first of 4 processes does hog alone: there is no network to train together."
    assert len(require_shareable(TrainingRecipe(), None, steps[:1])) == 1
    with pytest.raises(UsageError, match="a batch of 3 images cannot be shared by 4 processes"):
        require_shareable(TrainingRecipe(), 3, steps)
    for recipe in (TrainingRecipe(ema=0.9), TrainingRecipe(unfreeze="gradual")):
        with pytest.raises(UsageError, match="which --strategy fsdp cannot do"):
            require_shareable(recipe, None, steps)
    for method in ("snapshot:3", "swag"):
        with pytest.raises(UsageError, match=f"--uncertainty {method} copies whole weights.*use --strategy ddp"):
            require_shareable(TrainingRecipe(), None, steps, method)
    assert require_shareable(TrainingRecipe(), None, steps, 5) == told, "members of a deep ensemble are whole"
    with pytest.raises(UsageError, match="rollback, which one process does alone, and 4 were started"):
        require_shareable(TrainingRecipe(on_nan="rollback"), None, steps)


def test_every_process_gets_an_image_of_every_batch():
    generator = torch.Generator().manual_seed(0)
    assert [len(rows) for rows in batches_of(np.arange(10), 4, generator, 3)] == [4, 3, 3]
    with pytest.raises(UsageError, match=r"make one of 2, which 3 processes cannot share: set --batch-size to 6"):
        batches_of(np.arange(5), 3, generator, 3)


def test_a_call_is_passed_with_its_model_and_optimizer_as_one(make_bars, tmp_path):
    from linnaea.learning.rungs import Options
    from linnaea.task import TASKS

    many = make_bars(2000)
    job = Job(many, make_bars(4), 2, TASKS["binary"], Options(), on_epoch=print)
    model = torch.nn.Linear(2, 2)
    passed = Passed(tmp_path / "shared")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    content = passed.packed("module:function", (job, model, optimizer), {"label_smoothing": 0.1})
    assert len(content) < many.images.nbytes / 10, "pixels are in a file"
    name, (again, other, stepped), options = unpacked(content)
    assert (name, options) == ("module:function", {"label_smoothing": 0.1})
    assert np.array_equal(again.train.images, many.images)
    assert stepped.param_groups[0]["params"][0] is other.weight
    passed.remove()
    assert not (tmp_path / "shared").exists()
    assert np.array_equal(unpacked(content)[1][0].train.images, many.images), "who has them open keeps them"


@pytest.fixture
def photos(tmp_path):
    for number in range(60):
        place = tmp_path / "photos" / ("ant", "bee")[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        smooth(number, 16).save(place)
    return tmp_path / "photos"


def started(folder, photos, **more):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    words = (
        "--weights none --model lenet5 --img-size 16 --precision float32 --batch-size 12 --augment flip --epochs 9999"
    )
    words = [*words.split(), "--patience", "9999"]
    found = []
    for rank in (0, 1):
        environment = os.environ | {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
        environment |= {"MASTER_PORT": str(port), "LINNAEA_RANK_TIMEOUT": "8s", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "linnaea", "train", str(photos), *words, "--out", str(folder)]
        with (folder.parent / f"told {rank}").open("w") as told:
            found.append(subprocess.Popen(command, env=environment, stdout=told, stderr=told))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("killed", "how"), [(1, signal.SIGKILL), (0, signal.SIGKILL), (1, signal.SIGSTOP)])
def test_when_one_process_dies_the_other_ends_and_says_why(killed, how, tmp_path, photos):
    folder = tmp_path / "run"
    processes = started(folder, photos)
    try:
        until = time.monotonic() + 120
        while not (folder / "history.csv").exists() and time.monotonic() < until:
            time.sleep(0.2)
        processes[killed].send_signal(how)
        began = time.monotonic()
        assert processes[1 - killed].wait(timeout=60) == 1
        assert time.monotonic() - began < 30
    finally:
        for process in processes:
            process.kill()
            process.wait()
    said = (tmp_path / f"told {1 - killed}").read_text()
    assert (f"process {killed} of 2 has given no sign of life" if killed else "keeps count of the others") in said
    assert "--resume" in said
