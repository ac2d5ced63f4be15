"""A training done again: what is told of folds and seeds is what was seen, and what folds would tear is refused."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from material import run as command
from material import striped
from scipy import stats

import linnaea as ln
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError
from linnaea.experiments import cross_validation
from linnaea.experiments.attempt import Attempted
from linnaea.experiments.seeds import seeds_finding
from linnaea.finding import Estimate
from linnaea.run import Run
from linnaea.statistics.repeats import mean_over
from linnaea.verbs.outcome import tell_outcome

QUICK = {"model": "hog", "weights": "none", "precision": "float32", "memory_format": "contiguous"}


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    return striped(tmp_path_factory.mktemp("data"), 60, noise=0.2)


@pytest.fixture(scope="module")
def repeated(stripes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "stripes"
    ln.train(stripes, out=folder, folds=3, seeds=2, epochs=1, **{**QUICK, "model": "majority,lenet5"})
    return folder


def test_every_image_of_train_and_val_is_judged_once_and_no_test_image(repeated):
    run = Run.open(repeated)
    splits = dict(zip(run.dataset().ids, run.dataset().column("split"), strict=True))
    found = run.predictions("folds")
    assert sorted(found.column("id")) == sorted(name for name, split in splits.items() if split != "test")
    folds = {row["path"]: int(row["fold"]) for row in run.read_rows("folds.csv")}
    assert folds == dict(zip(found.column("id"), found.column("fold"), strict=True))
    assert [entry["by"] for entry in run.record()["test_opened"]] == ["train"]


def test_the_mean_over_folds_is_that_of_the_kept_answers(repeated):
    table = parquet.read_table(repeated / "predictions" / "folds.parquet").to_pylist()
    finding = json.loads((repeated / "findings" / "folds.json").read_text())[0]
    shares = [np.mean([row["label"] == row["truth"] for row in table if row["fold"] == fold]) for fold in (1, 2, 3)]
    assert [row["value"] for row in finding["rows"]] == pytest.approx(shares)
    assert finding["figure"]["value"] == pytest.approx(np.mean(shares))
    assert finding["figure"]["lo"] < np.mean(shares) < finding["figure"]["hi"]
    assert json.loads((repeated / "metrics.json").read_text())["folds"]["accuracy"]["n"] == len(table)
    assert "Cross-validated over 3 folds" in (repeated / "report.html").read_text()


def test_seeds_are_told_and_the_first_one_is_kept(repeated, stripes, tmp_path):
    finding = json.loads((repeated / "findings" / "seeds.json").read_text())[0]
    assert [row["seed"] for row in finding["rows"]] == [0, 1]
    assert finding["figure"]["value"] == pytest.approx(np.mean([row["value"] for row in finding["rows"]]))
    once = tmp_path / "once"
    ln.train(stripes, out=once, epochs=1, **{**QUICK, "model": "majority,lenet5"})
    first, second = (Run.open(folder).predictions("test").scores("raw_scores") for folder in (repeated, once))
    np.testing.assert_array_equal(first, second)


def test_a_run_that_was_stopped_in_a_fold_goes_on_with_the_same_folds(repeated, stripes, tmp_path, monkeypatch):
    judged, out = cross_validation.Fold.judged, tmp_path / "stopped"

    def stopped(fold, chosen, aims):
        if fold.number == 2:
            raise KeyboardInterrupt
        return judged(fold, chosen, aims)

    options = {**QUICK, "model": "majority,lenet5", "epochs": 1, "folds": 3, "seeds": 2, "out": out}
    monkeypatch.setattr(cross_validation.Fold, "judged", stopped)
    with pytest.raises(KeyboardInterrupt):
        ln.train(stripes, **options)
    monkeypatch.setattr(cross_validation.Fold, "judged", judged)
    ln.train(stripes, **options, resume=True)
    first, second = (Run.open(folder).predictions("folds") for folder in (repeated, out))
    assert first.column("fold") == second.column("fold")
    np.testing.assert_allclose(first.scores("raw_scores"), second.scores("raw_scores"), atol=1e-6)


def test_groups_stay_in_one_fold(tmp_path, caplog, capsys):
    caplog.set_level("INFO", "linnaea")
    data = striped(tmp_path / "data", 48)
    groups = [f"{label}-{number % 7}" for number, label in enumerate(data.labels)]
    ln.train(data.with_column("group", groups), out=tmp_path / "run", folds=2, **QUICK)
    tell_outcome(tmp_path / "run")
    assert (caplog.text + capsys.readouterr().out).count("Cross-validated over 2 folds") == 1
    found = Run.open(tmp_path / "run").predictions("folds")
    met = {}
    for group, fold in zip(found.column("group"), found.column("fold"), strict=True):
        met.setdefault(group, set()).add(fold)
    assert len(met) > 4
    assert all(len(folds) == 1 for folds in met.values())


def test_folds_of_the_data_that_tear_groups_are_warned_of(tmp_path):
    data = striped(tmp_path / "data", 48)
    groups = [f"{label}-{number % 7}" for number, label in enumerate(data.labels)]
    folds = [1 + number // 2 % 2 for number in range(len(data))]
    given = data.with_column("group", groups).with_column("fold_1", folds)
    ln.train(given, out=tmp_path / "run", folds=2, **QUICK)
    (finding,) = json.loads((tmp_path / "run" / "findings" / "folds.json").read_text())
    found = Run.open(tmp_path / "run").predictions("folds")
    met = {}
    for group, fold in zip(found.column("group"), found.column("fold"), strict=True):
        met.setdefault(group, set()).add(fold)
    torn = sum(len(met[group]) > 1 for group in found.column("group"))
    assert torn > 20
    assert f"{torn} of them have a copy or others of their group there" in finding["summary"]
    assert finding["severity"] == "warning"


def test_seeds_that_did_not_finish_are_not_said_to_agree():
    figure = Estimate(0.9, 0.8, 0.95, 50, "Wilson")
    done = [Attempted("hog", figure=figure), *(Attempted("hog", "failed", "it broke") for _ in range(2))]
    said = seeds_finding("hog", [0, 1, 2], done, "binary")
    assert "2 of them did not finish" in said.summary
    assert "the same with every one" not in said.summary
    assert "interval" not in said.summary
    none = [replace(one, figure=None) for one in done]
    assert "accuracy on val not defined" in seeds_finding("hog", [0, 1, 2], none, "binary").summary


def test_the_interval_over_folds_knows_that_they_share_images():
    values = [0.8, 0.9, 0.85, 0.7, 0.75]
    found = mean_over(values, 100, "fold", overlap=1 / 4, bounds=(-np.inf, np.inf))
    half = stats.t.ppf(0.975, 4) * np.sqrt(np.var(values, ddof=1) * (1 / 5 + 1 / 4))  # Nadeau and Bengio 2003, (8)
    assert (found.lo, found.hi) == pytest.approx((0.8 - half, 0.8 + half))
    plain = mean_over(values, 100, "seed", bounds=(-np.inf, np.inf))
    assert (plain.lo, plain.hi) == pytest.approx(stats.t.interval(0.95, 4, 0.8, stats.sem(values)))
    assert mean_over([0.5, 0.5], 10, "seed").lo is None


def test_more_folds_than_images_of_a_class_are_refused_before_any_work(tmp_path):
    data = striped(tmp_path / "data", 40).take([*range(0, 40, 2), 1, 3, 5])
    with pytest.raises(DataError, match=r"'standing' \(3\).*--folds 3"):
        ln.train(data, out=tmp_path / "run", folds=4, **QUICK)
    assert not (tmp_path / "run").exists()


def test_a_class_in_fewer_groups_than_folds_is_refused_by_name(tmp_path):
    data = striped(tmp_path / "data", 60)
    groups = [
        f"g{number % 12 if label == 'standing' else 100 + number % 3}" for number, label in enumerate(data.labels)
    ]
    with pytest.raises(DataError, match="'lying'"):
        ln.train(data.with_column("group", groups), out=tmp_path / "run", folds=5, **QUICK)


def test_folds_that_are_none_are_refused(stripes, tmp_path, monkeypatch, capsys):
    with pytest.raises(UsageError, match="stratified"):
        ln.train(stripes, out=tmp_path / "run", folds=3, split_by="time", **QUICK)
    assert command(["train", stripes.root, "--folds", "1"], monkeypatch) == 2
    assert "folds is 1; expected 2 or more" in capsys.readouterr().err.replace("--", "")


@pytest.mark.slow
def test_the_mean_over_folds_agrees_with_a_large_test_split(tmp_path):
    """Of five small sets, the figure of 300 test images lies outside the interval of folds once at the most."""
    missed = 0
    for seed in range(5):
        small = striped(tmp_path / f"{seed}", 60, noise=0.25, seed=seed, splits=("train",))
        large = striped(tmp_path / f"{seed}", 300, noise=0.25, seed=100 + seed, splits=("test",))
        data = Dataset(pa.concat_tables([small.table, large.table]), small.classes, small.task, small.root)
        ln.train(data, out=tmp_path / f"run{seed}", folds=4, duplicates="exact", **QUICK)
        figures = json.loads((tmp_path / f"run{seed}" / "metrics.json").read_text())
        finding = json.loads((tmp_path / f"run{seed}" / "findings" / "folds.json").read_text())[0]["figure"]
        missed += not finding["lo"] <= figures["test"]["accuracy"]["value"] <= finding["hi"]
    assert missed <= 1
