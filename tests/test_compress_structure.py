"""Runs whose networks lose channels, blocks or rank, or teach a smaller one: `linnaea compress`, by verbs alone."""

import json

import numpy as np
import pytest
import torch
from material import run as command
from material import striped

import linnaea
from linnaea.classifier import load
from linnaea.delivery.compression.front import Seen, choose, with_front
from linnaea.delivery.compression.students import student_for
from linnaea.delivery.compression.zeros import share_of_zeros
from linnaea.errors import CheckFailedError, UsageError
from linnaea.finding import Estimate
from linnaea.models.ensembles.ensemble import Ensemble
from linnaea.models.network import Network
from linnaea.run import Run
from linnaea.runtime.energy import joules_of


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    """Stripes that lie and stripes that stand."""
    return striped(tmp_path_factory.mktemp("stripes"), 16, splits=("train", "val", "test"))


@pytest.fixture(scope="module")
def run(stripes, tmp_path_factory):
    """A small residual network that tells them apart."""
    out = tmp_path_factory.mktemp("structure") / "run"
    linnaea.train(stripes, model="test_resnet", weights="none", img_size=32, epochs=1, batch_size=8, out=out)
    return out


def points_of(folder):
    return {finding.name: finding.rows for finding in Run.open(folder).findings("compression")}["compression_points"]


def test_factors_and_fewer_channels_are_a_smaller_network_that_loads_and_answers_the_same(run, stripes, tmp_path):
    out = tmp_path / "small"
    made = linnaea.compress(run, method=["factorize", "prune"], max_drop=100, target="0.7MB", out=out)
    before, after, last = points_of(out)
    assert [before["name"], after["name"], last["name"]] == ["before", "factorize", "prune"]
    assert before["megabytes"] > after["megabytes"] >= last["megabytes"]
    assert last["megabytes"] <= 0.7
    assert before["lo"] <= before["value"] <= before["hi"]
    kinds = [one["kind"] for one in made.model.arguments["operations"]]
    assert kinds[0] == "factored"
    images = stripes.split("test")
    assert load(out).predict(images).table == made.predict(images).table
    assert "pareto" in (out / "report.html").read_text()


def test_a_target_that_cannot_be_met_tells_the_nearest_point_before_it_trains(run, tmp_path, monkeypatch, capsys):
    words = ["compress", run, "--method", "prune", "--target", "1kB", "--out", tmp_path / "small"]
    assert command(words, monkeypatch) == 1
    said = capsys.readouterr().err
    assert "prune cannot meet the target 1kB: the nearest point is 0." in said
    assert not (tmp_path / "small").exists()


@pytest.mark.slow
def test_zeros_make_nothing_smaller_but_a_zipped_file_and_that_is_said(run, tmp_path):
    made = linnaea.compress(run, method=["sparsify"], max_drop=100, out=tmp_path / "zeros")
    assert share_of_zeros(made.model) == pytest.approx(0.875, abs=0.01)
    before, after = points_of(tmp_path / "zeros")
    assert after["megabytes"] == before["megabytes"]
    ladder = (tmp_path / "zeros" / "ladder.csv").read_text()
    assert "The network is not faster and its file not smaller" in ladder
    with pytest.raises(UsageError, match=r"sparsify cannot meet the target 1MB.*--method prune"):
        linnaea.compress(run, method=["sparsify"], target="1MB")


@pytest.mark.slow
def test_a_student_is_taught_by_the_run(run, stripes, tmp_path):
    out = tmp_path / "student"
    made = linnaea.compress(run, method=["distill"], student="test_convnext", max_drop=100, out=out)
    assert made.model.arguments["name"] == "test_convnext"
    assert "distillation" in (out / "ladder.csv").read_text()
    with pytest.raises(
        UsageError, match=r"the student resnet18 takes 44\.\d MB and its teacher 1\.\d.*smaller network"
    ):
        linnaea.compress(run, method=["distill"], student="resnet18")
    with pytest.raises(UsageError, match=r"student is test_convnext, and it is for --method distill alone"):
        linnaea.compress(run, method=["prune"], student="test_convnext")
    with pytest.raises(UsageError, match="no known student a fifth of that"):
        student_for(made.model)
    hinted = linnaea.compress(
        run, method=["distill"], student="test_convnext", match="features", max_drop=100, out=tmp_path / "hinted"
    )
    assert hinted.provenance["rung"] == "distill"
    assert "feature_distillation" in (tmp_path / "hinted" / "ladder.csv").read_text()


def test_a_student_of_a_fifth_of_the_size_is_a_known_network_or_a_member_of_an_ensemble():
    torch.manual_seed(0)
    assert student_for(Network("resnet18", 2, 64)) == "mobilenetv2_100"
    members = [Network("test_resnet", 2, 32) for _ in range(5)]
    together = Ensemble.of(members, 2, 32, several=False, channels=3)
    assert student_for(together) in members


@pytest.mark.slow
def test_a_search_keeps_to_the_target_and_shows_all_that_it_looked_at(run, tmp_path):
    out = tmp_path / "found"
    made = linnaea.compress(run, method=["search"], trials=3, max_drop=100, target="1MB", out=out)
    rows = {one.name: one.rows for one in Run.open(out).findings("compression")}["compression_search"]
    assert 1 <= len(rows) <= 3
    chosen = [row for row in rows if row["chosen"]]
    assert len(chosen) == 1
    assert chosen[0]["trained"]
    assert made.model.megabytes <= 1.0
    assert all(row["trained"] or "larger than 1MB" in row["note"] for row in rows)
    assert json.loads((out / "model" / "classifier.json").read_text())["recipe"]["size"] == chosen[0]["size"]


def test_classical_runs_are_refused_with_what_can_be_done(stripes, tmp_path):
    linnaea.train(stripes, model="colours+svm", img_size=32, out=tmp_path / "run")
    with pytest.raises(UsageError, match="prune cannot compress a classifier of the kind classical: expected"):
        linnaea.compress(tmp_path / "run", method=["prune"])


def seen(value, milliseconds, **more):
    figure = None if value is None else Estimate(value, None, None, 100, "Wilson")
    return Seen(0.1, 0, 32, milliseconds, 1.0, figure, **more)


def test_the_front_are_those_that_none_is_better_than_in_worth_and_time():
    points = [seen(0.9, 5), seen(0.8, 6), seen(0.7, 2), seen(None, 1), seen(0.9, 5.5), seen(0.95, 9)]
    marked = with_front(points)
    assert [one.on_front for one in marked] == [True, False, True, False, False, True]
    assert choose(points, 0.65, to_target=False) is points[2]
    assert choose(points, 0.85, to_target=False) is points[0]
    assert choose(points, 0.99, to_target=False) is points[5]
    assert choose(points, 0.65, to_target=True) is points[5]
    assert choose([points[3]], 0.5, to_target=True) is None


def test_energy_is_what_all_packages_took_and_unknown_without_a_counter(tmp_path):
    assert joules_of(lambda: None, tmp_path) is None
    for name, value in (("intel-rapl:0", 1_000_000), ("intel-rapl:1", 9_000_000), ("intel-rapl:0:0", 5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(f"{value}\n")
        (tmp_path / name / "max_energy_range_uj").write_text("10000000\n")

    def work():
        (tmp_path / "intel-rapl:0" / "energy_uj").write_text("3000000\n")
        (tmp_path / "intel-rapl:1" / "energy_uj").write_text("500000\n")  # began anew

    assert joules_of(work, tmp_path) == pytest.approx(2.0 + 1.5)


@pytest.mark.slow
def test_a_run_that_may_lose_nothing_is_pruned_as_far_as_its_val_images_allow(run, tmp_path):
    try:
        linnaea.compress(run, method=["prune"], max_drop=2, out=tmp_path / "small")
    except CheckFailedError:
        assert not (tmp_path / "small").exists()
    else:
        before, after = points_of(tmp_path / "small")
        assert before["value"] - after["value"] <= 0.02 + 1e-9
        assert np.isfinite(after["milliseconds"])
