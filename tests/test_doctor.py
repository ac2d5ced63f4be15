"""The doctor says what the machine can do, and how fast a network runs on it."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from linnaea.cli import app
from linnaea.errors import UsageError
from linnaea.experiments.network_timing import measure_plans, pictures
from linnaea.runtime.machine import reduced_formats

SMALL = ("--network", "test_resnet", "--img-size", "32", "--batch-size", "8", "--device", "cpu")


@pytest.fixture
def doctor(monkeypatch, tmp_path):
    monkeypatch.setenv("LINNAEA_CACHE", str(tmp_path))

    def call(*arguments):
        done = CliRunner().invoke(app, ["doctor", *arguments])
        return done.exit_code, done.stdout, done.exception

    return call


def test_the_doctor_alone_measures_nothing(doctor, tmp_path):
    code, printed, _ = doctor()
    assert code == 0
    assert "formats to try" in printed
    assert "images/s" not in printed
    assert list(tmp_path.iterdir()) == []


def test_a_network_is_measured_for_both_purposes_and_remembered(doctor, tmp_path):
    code, printed, _ = doctor(*SMALL, "--json")
    plans = json.loads(printed)["plans"]
    assert code == 0
    assert plans.keys() == {"embed", "train"}
    for plan in plans.values():
        names = {name.rsplit(" ", 1)[0] for name in plan["measured"]}
        assert names == {
            f"{p} {m}" for p in ("float32", *reduced_formats("cpu")) for m in ("channels_last", "contiguous")
        }
        assert plan["source"] == "measured"
    assert plans["train"]["batch_size"] == 8
    assert len(list((tmp_path / "plans").iterdir())) == 2
    assert json.loads(doctor(*SMALL, "--json")[1])["plans"]["embed"]["source"] == "measured", "whatever is remembered"


def test_the_table_marks_what_is_taken(doctor):
    _, printed, _ = doctor(*SMALL)
    assert "test_resnet at 32 pixels" in printed
    for title in ("Embedding on cpu with 1 thread, in batches of", "Training on cpu with 1 thread, in batches of 8:"):
        assert title in printed
    marked = [line for line in printed.splitlines() if line.startswith("  * ")]
    assert len(marked) == 2
    assert all(line.split()[1] in ("float32", "bfloat16") for line in marked)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": "resnet5O"}, "Did you mean 'resnet50'"),
        ({"img_size": 0}, "img_size is 0; expected 8 to 2048 pixels"),
        ({"batch_size": 0}, "batch_size is 0; expected a whole number above 0"),
        ({"device": "gpu"}, "expected one of auto, cpu"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(changes, said, doctor):
    with pytest.raises(UsageError, match=said):
        measure_plans(**{"network": "test_resnet", "img_size": 32, "device": "cpu"} | changes)


def test_made_pictures_are_the_same_every_time_and_all_different():
    first = pictures(8, 32)
    assert first.shape == (8, 32, 32, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, pictures(8, 32))
    assert len({picture.tobytes() for picture in first}) == 8
    assert first.std(axis=(1, 2, 3)).min() > 20
