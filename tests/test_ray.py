"""Trials side by side on a local cluster of two workers: `make ray`."""

import csv
import os

import pytest
from material import striped

import linnaea as ln

ray = pytest.importorskip("ray")
pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # of what ray imports
]
QUICK = {"model": "lenet5", "weights": "none", "precision": "float32", "memory_format": "contiguous"}


@pytest.fixture(scope="module")
def stripes(tmp_path_factory):
    return striped(tmp_path_factory.mktemp("data"), 48)


@pytest.fixture(scope="module")
def two_workers():
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  so it is called; others may be at work here
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def trials_of(folder):
    with (folder / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_trials_side_by_side_are_those_of_one_after_the_other(two_workers, stripes, tmp_path):
    space = {"label_smoothing": [0.0, 0.1], "optimizer": ["sgd", "adamw"]}
    options = {**QUICK, "space": space, "search": "grid", "epochs": 2}
    ln.tune(stripes, out=tmp_path / "ray", on="ray", **options)
    ln.tune(stripes, out=tmp_path / "here", **options)
    found = []
    for name in ("ray", "here"):
        rows = sorted(trials_of(tmp_path / name), key=lambda row: (row["label_smoothing"], row["optimizer"]))
        found.append(
            [(row["label_smoothing"], row["optimizer"], pytest.approx(float(row["loss"]), abs=1e-4)) for row in rows]
        )
    assert [row[:2] for row in found[0]] == [row[:2] for row in found[1]]
    assert [row[2].expected for row in found[0]] == [row[2] for row in found[1]]


def test_a_population_side_by_side_is_that_of_one_after_the_other(two_workers, stripes, tmp_path):
    space = {"learning_rate": {"low": 1e-7, "high": 0.01, "log": True}}
    options = {**QUICK, "space": space, "search": "pbt", "trials": 4, "epochs": 3, "optimizer": "adamw"}
    ln.tune(stripes, out=tmp_path / "ray", on="ray", **options)
    ln.tune(stripes, out=tmp_path / "here", **options)
    side_by_side, one_by_one = (
        [(row["learning_rate"], float(row["loss"])) for row in trials_of(tmp_path / name)] for name in ("ray", "here")
    )
    assert [rate for rate, _ in side_by_side] == [rate for rate, _ in one_by_one]
    assert [loss for _, loss in side_by_side] == pytest.approx([loss for _, loss in one_by_one], abs=1e-4)
