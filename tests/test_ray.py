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
