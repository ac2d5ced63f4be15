"""Runs made smaller or faster: `linnaea compress`, by verbs alone."""

import json
import shutil
from contextlib import suppress

import numpy as np
import pytest
from material import run as command
from material import striped

import linnaea
from linnaea.classifier import load
from linnaea.errors import CheckFailedError, RunError, UsageError
from linnaea.experiments.compression.source import Source
from linnaea.options import Compressing
from linnaea.run import Run


@pytest.fixture(scope="module")
def lenet(tmp_path_factory):
    """A small network that tells stripes that lie from stripes that stand."""
    folder = tmp_path_factory.mktemp("compressed")
    stripes = striped(folder / "data", 30, splits=("train", "val", "test"))
    linnaea.train(stripes, model="lenet5", img_size=16, epochs=2, batch_size=8, out=folder / "run")
    return folder / "run"


def test_integers_and_their_scales_are_a_run_as_any_other(lenet, tmp_path):
    out = tmp_path / "small"
    made = linnaea.compress(lenet, backend="torch", max_drop=10, out=out)
    run, before = Run.open(out), Run.open(lenet)
    found = {row["measure"]: row for row in run.findings("compression")[0].rows}
    assert found["megabytes"]["times"] < 0.3
    assert found["accuracy"]["before"] == json.loads((lenet / "metrics.json").read_text())["test"]["accuracy"]["value"]
    assert found["accuracy"]["lo"] <= found["accuracy"]["difference"] <= found["accuracy"]["hi"]
    for name in ("nll", "ece", "worst_class_recall", "ok_rate", "unfamiliar_rate", "answered_accuracy"):
        assert found[name]["after"] is not None
    assert run.record()["origin"] == {"run": str(lenet.resolve()), "methods": ["quantize"]}
    assert run.record()["test_opened"]
    assert before.record()["test_opened"][-1]["by"] == "compress into small"
    assert (out / "report.html").is_file()
    images = before.dataset().split("test")
    again = load(out).predict(images)
    assert again.table == made.predict(images).table
    assert np.abs(again.scores("raw_scores") - load(lenet).predict(images).scores("raw_scores")).max() < 0.05
    assert str(linnaea.compare(lenet, out))
    assert linnaea.evaluate(out)


def test_too_great_a_loss_leaves_nothing(lenet, tmp_path, monkeypatch, capsys):
    opened = len(Run.open(lenet).record()["test_opened"])
    with pytest.raises(CheckFailedError, match=r"the target is 1kB\. The nearest point was quantize: accuracy"):
        linnaea.compress(lenet, backend="torch", max_drop=100, target="1kB", out=tmp_path / "small")
    assert not (tmp_path / "small").exists()
    assert len(Run.open(lenet).record()["test_opened"]) == opened
    words = ["compress", lenet, "--backend", "torch", "--max-drop", "100", "--target", "1us", "--out", tmp_path / "x"]
    assert command(words, monkeypatch) == 1
    assert "the target is 1us" in capsys.readouterr().err


def test_what_cannot_be_is_refused_before_any_work(lenet, tmp_path, monkeypatch, capsys):
    for words, said in {
        ("--method", "quantise"): "Did you mean 'quantize'?",
        ("--target", "small"): "expected a time for one image, such as 5ms, or a size, such as 2MB",
        ("--target", "0MB"): "expected a time for one image",
        ("--bits", "3"): "expected one of 4, 8, 16",
        ("--max-drop", "-1"): "expected a number from 0 to 100",
        ("--backend", "onyx"): "Did you mean 'onnx'?",
    }.items():
        assert command(["compress", lenet, *words], monkeypatch) == 2
        assert said in capsys.readouterr().err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(RunError, match="already exists"):
        linnaea.compress(lenet, backend="torch", out=tmp_path / "full")
    assert (tmp_path / "full" / "notes.txt").exists()
    with pytest.raises(UsageError, match="quantize is given twice"):
        linnaea.compress(lenet, method=["quantize", "quantize"])
    with pytest.raises(UsageError, match="method is empty"):
        linnaea.compress(lenet, method=[])
    with pytest.raises(UsageError, match=r"sparsify cannot meet the target 1MB.*or add quantize"):
        linnaea.compress(lenet, method=["sparsify"], target="1MB")
    both = Compressing(method=["sparsify", "quantize"], target="1MB")
    assert Source.of(Run.open(lenet), both).methods == ["sparsify", "quantize"], "quantize may meet it"
    with pytest.raises(UsageError, match="bits is 4, and it is for --method quantize or qat alone: leave it out"):
        linnaea.compress(lenet, method=["sparsify"], bits=4)
    with pytest.raises(UsageError, match="backend is torch, and it is for --method quantize or qat alone"):
        linnaea.compress(lenet, method=["sparsify"], backend="torch")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"method": ["distill", "quantize"], "bits": 4, "backend": "onnx"}, "onnx computes networks with 8 bits"),
        ({"method": ["distill", "qat"], "bits": 4}, "qat trains for 8 bits"),
    ],
)
def test_what_follows_a_student_is_refused_before_the_student_learns(lenet, tmp_path, asked, said):
    with pytest.raises(UsageError, match=said):
        linnaea.compress(lenet, **asked, out=tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_a_method_that_finds_nothing_to_take_away_leaves_no_folder(lenet, tmp_path):
    with pytest.raises(UsageError, match="no known student a fifth of that"):
        linnaea.compress(lenet, method=["distill"], out=tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_a_compressed_run_is_not_compressed_again(lenet, tmp_path):
    shutil.copytree(lenet, tmp_path / "run")
    linnaea.compress(tmp_path / "run", backend="torch", bits=4, max_drop=100, out=tmp_path / "small")
    with pytest.raises(UsageError, match=r"compress the run that it came from, .*run"):
        linnaea.compress(tmp_path / "small", backend="torch")


def test_classical_pipelines_are_refused(tmp_path):
    stripes = striped(tmp_path / "data", 12, splits=("train", "val", "test"))
    linnaea.train(stripes, model="hog+svm", img_size=16, out=tmp_path / "run")
    with pytest.raises(UsageError, match=r"quantize cannot compress a classifier of the kind classical"):
        linnaea.compress(tmp_path / "run", backend="torch")
    with pytest.raises(UsageError, match=r"name one with --student\.$"):  # channels it has none
        linnaea.compress(tmp_path / "run", method=["distill"], out=tmp_path / "small")


@pytest.mark.slow
@pytest.mark.parametrize(("method", "backend"), [("quantize", "openvino"), ("qat", "onnx")])
def test_a_network_in_integers_is_a_run_as_any_other(lenet, tmp_path, method, backend):
    out = tmp_path / "small"
    made = linnaea.compress(lenet, method=[method], backend=backend, max_drop=40, out=out)
    run = Run.open(out)
    images = run.dataset().split("test")
    again = load(out).predict(images)
    assert again.table == made.predict(images).table
    assert made.model.backend == backend
    assert {row["measure"]: row for row in run.findings("compression")[0].rows}["megabytes"]["times"] < 0.6
    with pytest.raises(UsageError, match="in few bits already"):
        linnaea.compress(out)
    if method == "qat":
        assert any("Integers without training lose" in note for note in made.provenance["notes"])


@pytest.mark.slow
def test_too_much_lost_brings_layers_back_to_float(lenet, tmp_path):
    """Whatever integers lose, what is kept has lost no more than may be, or nothing is kept."""
    with suppress(CheckFailedError):
        linnaea.compress(lenet, backend="onnx", max_drop=0, out=tmp_path / "small")
    if (tmp_path / "small").exists():
        rows = Run.open(tmp_path / "small").findings("compression")[1].rows
        assert rows[-1]["value"] >= rows[0]["value"]
