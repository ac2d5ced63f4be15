"""`calibrate` and the options of `train` for calibrators and sets: a run's classifier anew, and the run as it was."""

import json
import shutil

import numpy as np
import pytest
from material import run as command
from material import striped

import linnaea
from linnaea.errors import DataError, UsageError


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrate")
    data = striped(folder / "images", 60, noise=0.2, splits=("train", "val", "test"))
    out = folder / "run"
    linnaea.train(data, model="hog", weights="none", sets="aps", out=out, img_size=32)
    return data, out


def test_training_keeps_the_sets_that_were_asked_for_and_says_what_was_compared(trained):
    _, out = trained
    assert linnaea.load(out).policy.sets == "aps"
    (found,) = json.loads((out / "findings" / "calibration.json").read_text())
    assert "there are 60 images to compare by, and 200 are needed. One temperature is used." in found["summary"]
    report = (out / "report.html").read_text()
    assert "Prediction sets" in report
    assert "Calibrators were not compared" in report


def test_a_new_classifier_has_what_was_asked_for_and_the_run_stays(trained, tmp_path):
    _, out = trained
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    made = linnaea.calibrate(out, calibrator="beta", sets="class_conditional", coverage=0.8, out=tmp_path / "new")
    loaded = linnaea.load(tmp_path / "new")
    assert (loaded.calibrator.kind, loaded.policy.sets, loaded.policy.coverage) == ("beta", "class_conditional", 0.8)
    assert loaded.policy == made.policy
    assert loaded.provenance["calibration"]["images"] == 60
    assert {path: path.read_bytes() for path in before} == before


def test_the_same_options_give_the_same_classifier(trained, tmp_path):
    _, out = trained
    again = linnaea.calibrate(out, sets="aps", out=tmp_path / "same")
    own = linnaea.load(out)
    assert again.calibrator.temperature == pytest.approx(own.calibrator.temperature, rel=1e-4)
    assert again.policy.set_threshold == pytest.approx(own.policy.set_threshold, abs=1e-3)
    assert again.policy.ood_threshold == pytest.approx(own.policy.ood_threshold, rel=1e-3)


def test_other_images_are_used_without_those_of_train_and_test(trained, tmp_path):
    data, out = trained
    made = linnaea.calibrate(out, data, out=tmp_path / "all")
    assert made.provenance["calibration"]["images"] == 60  # those of val
    with pytest.raises(DataError, match="trained or tested on every image"):
        linnaea.calibrate(out, data.split("test"), out=tmp_path / "none")


def test_what_does_not_fit_is_refused_before_any_work(trained, tmp_path, monkeypatch, capsys):
    data, out = trained
    with pytest.raises(UsageError, match="per_label is not for one label per image"):
        linnaea.calibrate(out, calibrator="per_label", out=tmp_path / "new")
    with pytest.raises(UsageError, match="give another folder"):
        linnaea.calibrate(out, out=out / "model")
    with pytest.raises(UsageError, match="Did you mean 'clustered'"):
        linnaea.train(data, sets="clusterd", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert command(["calibrate", out, "--sets", "lac", "--out", tmp_path / "shell"], monkeypatch) == 0
    assert "the run stays as it was" in capsys.readouterr().out
    assert np.isfinite(linnaea.load(tmp_path / "shell").policy.set_threshold)


def test_options_that_are_not_given_are_those_of_the_run(trained, tmp_path):
    data, _ = trained
    out = tmp_path / "run"
    linnaea.train(data, model="hog", weights="none", img_size=32, out=out, coverage=0.95, sets="raps", aim="recall=0.8")
    made = linnaea.calibrate(out, calibrator="beta", out=tmp_path / "new")
    assert (made.policy.coverage, made.policy.sets, made.calibrator.kind) == (0.95, "raps", "beta")
    assert made.provenance["calibration"]["aims"]["aim"] == "recall=0.8"
    summaries = [found["summary"] for found in made.provenance["calibration"]["findings"]]
    assert any("coverage 0.95" in one and "sets raps" in one and "calibrator" not in one for one in summaries)
    usual = linnaea.calibrate(out, coverage=0.9, sets="lac", out=tmp_path / "usual")  # asked for, though the defaults
    assert (usual.policy.coverage, usual.policy.sets) == (0.9, "lac")


def test_an_adaptation_to_other_shares_is_dropped_and_this_is_said(trained, tmp_path):
    _, out = trained
    copied = shutil.copytree(out, tmp_path / "run")
    own = linnaea.load(copied)
    own.with_(prior_shift=(0.5, -0.5)).save(copied / "model")
    made = linnaea.calibrate(copied, out=tmp_path / "new")
    assert not any(made.prior_shift)
    assert "Dropped" in made.provenance["calibration"]["findings"][-1]["summary"]
