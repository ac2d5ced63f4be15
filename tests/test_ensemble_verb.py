"""Finished runs as one: `linnaea ensemble`, by verbs alone."""

import json
import shutil

import numpy as np
import pytest
from material import run as command
from material import striped
from scipy.special import softmax

import linnaea
from linnaea.classifier import load
from linnaea.dataset import Dataset
from linnaea.errors import BundleError, DataError, RunError, UsageError
from linnaea.experiments.ensembling import Together
from linnaea.run import Run

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """HOG at 32 pixels, and a small network at 16, of the same images; and HOG of other classes."""
    folder = tmp_path_factory.mktemp("together")
    stripes = striped(folder / "data", 24, splits=SPLITS)
    linnaea.train(stripes, model="hog", img_size=32, out=folder / "hog")
    linnaea.train(stripes, model="lenet5", img_size=16, epochs=1, batch_size=8, out=folder / "lenet")
    table = stripes.table
    labels = ["flat" if label == "lying" else label for label in stripes.labels]
    other = Dataset(table, stripes.classes, "binary", stripes.root).with_column("label", labels)
    other = Dataset(other.table, ("flat", "standing"), "binary", other.root)
    linnaea.train(other, model="hog", img_size=32, out=folder / "other")
    return folder


@pytest.mark.slow
def test_runs_become_one_that_answers_by_their_mean(runs, tmp_path):
    made = linnaea.ensemble([runs / "hog", runs / "lenet"], out=tmp_path / "both")
    run, parts = Run.open(tmp_path / "both"), [load(runs / name / "model") for name in ("hog", "lenet")]
    val = run.dataset().split("val")
    said = []
    for part in parts:
        temperature = part.calibrator.temperature
        said.append(part.predict(val).scores("raw_scores") / temperature)
    raw = made.predict(val).scores("raw_scores")
    np.testing.assert_allclose(softmax(raw, axis=1)[:, 0], np.mean(softmax(said, axis=2), axis=0)[:, 0], atol=0.05)
    assert made.recipe.size == 32
    record = run.record()
    assert record["arguments"]["members"] == [str(runs / name) for name in ("hog", "lenet")]
    assert record["chosen_because"] == "The answers are the means over 2 runs: hog, lenet."
    assert Run.open(runs / "hog").record()["test_opened"][-1]["by"] == "ensemble both"
    answers = run.predictions("test")
    total, aleatoric, epistemic = (
        np.array(answers.column(f"{name}_uncertainty")) for name in ("total", "aleatoric", "epistemic")
    )
    np.testing.assert_allclose(total, aleatoric + epistemic, atol=1e-6)
    assert "uncertainty_parts" in [
        one["name"] for one in json.loads((run.folder / "findings" / "test.json").read_text())
    ]
    assert "What more images could teach" in (run.folder / "report.html").read_text()
    again = load(run.model_folder).predict(val)
    assert again.table == made.predict(val).table
    assert str(linnaea.compare(runs / "hog", run.folder))


@pytest.mark.slow
def test_what_any_member_has_seen_is_not_judged_by(runs):
    first, second = Run.open(runs / "hog"), Run.open(runs / "lenet")
    kept = second.dataset()
    splits = kept.column("split")
    moved = ["train" if place % 3 == 0 else split for place, split in enumerate(splits)]
    second.write_dataset(kept.with_column("split", moved))
    try:
        left = Together.of([runs / "hog", runs / "lenet"]).dataset
        own = dict(zip(first.dataset().ids, first.dataset().column("split"), strict=True))
        other = dict(zip(kept.ids, moved, strict=True))
        for name, split in zip(left.ids, left.column("split"), strict=True):
            assert split == min(own[name], other[name], key=SPLITS.index)
        second.write_dataset(kept.with_column("split", ["train"] * len(kept)))
        with pytest.raises(DataError, match=r"no image is left to calibrate on.*--split-seed"):
            Together.of([runs / "hog", runs / "lenet"])
    finally:
        second.write_dataset(kept)


@pytest.mark.slow
def test_other_classes_are_refused_with_the_difference(runs):
    with pytest.raises(UsageError, match=r"only the first knows lying and only the second knows flat"):
        linnaea.ensemble([runs / "hog", runs / "other"])
    assert not (runs / "hog-ensemble").exists()


@pytest.mark.slow
def test_a_copy_of_a_run_is_refused(runs, tmp_path):
    shutil.copytree(runs / "hog", tmp_path / "copy")
    with pytest.raises(UsageError, match="hold the same weights, to the last bit"):
        linnaea.ensemble([runs / "hog", runs / "lenet", tmp_path / "copy"], out=tmp_path / "both")
    assert not (tmp_path / "both").exists()


@pytest.mark.slow
def test_a_run_whose_bundle_is_gone_is_refused(runs, tmp_path):
    shutil.copytree(runs / "lenet", tmp_path / "lenet")
    shutil.rmtree(tmp_path / "lenet" / "model")
    with pytest.raises(BundleError, match="does not hold a readable classifier"):
        linnaea.ensemble([runs / "hog", tmp_path / "lenet"], out=tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_one_run_is_no_ensemble(tmp_path, monkeypatch, capsys):
    (tmp_path / "run").mkdir()
    with pytest.raises(UsageError, match="two different runs or more"):
        linnaea.ensemble([tmp_path / "run"])
    with pytest.raises(UsageError, match="two different runs or more"):
        linnaea.ensemble([tmp_path / "run", tmp_path / "run"])
    with pytest.raises(RunError, match="does not exist"):
        linnaea.ensemble([tmp_path / "run", tmp_path / "gone"])
    assert command(["ensemble", tmp_path / "run"], monkeypatch) == 2
    assert "two finished runs or more" in capsys.readouterr().err


def test_what_the_first_run_was_asked_for_is_asked_of_all_together(tmp_path):
    stripes = striped(tmp_path / "data", 24, splits=SPLITS)
    linnaea.train(stripes, model="hog", img_size=32, out=tmp_path / "first", sets="raps", calibrator="vector")
    linnaea.train(stripes, model="hog", img_size=16, out=tmp_path / "second")
    asked = Together.of([tmp_path / "first", tmp_path / "second"]).training(0.0).aims
    assert (asked.sets, asked.calibrator) == ("raps", "vector")
