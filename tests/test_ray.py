"""Trials and scoring side by side on a local cluster of two workers: `make ray`."""

import csv
import os
import signal

import pytest
from material import striped

import linnaea as ln
from linnaea.classifier import Classifier
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.experiments.scoring import job as jobs
from linnaea.experiments.scoring.on_ray import Worker
from linnaea.experiments.scoring.parts import answered
from linnaea.models import build

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


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    scorer = TorchScorer(build("lenet5", {"classes": 2, "size": 32}).eval())
    bundle = Classifier(scorer, ("lying", "standing"), "binary", Recipe(32))
    return bundle.save(tmp_path_factory.mktemp("scoring") / "bundle")


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(jobs, "BATCH", 8)
    monkeypatch.setattr(jobs, "MOST_ROWS", 8)


def test_workers_answer_what_one_process_answers_each_image_once(two_workers, classifier, tmp_path, small_parts):
    photos = striped(tmp_path / "photos", 60, seed=3).root
    (photos / "broken.png").write_bytes(b"no picture")
    side_by_side = ln.score(classifier, photos, tmp_path / "ray.parquet", on="ray")
    here = ln.score(classifier, photos, tmp_path / "here.parquet")
    assert side_by_side.reasons == here.reasons
    assert side_by_side.file.read_bytes() == here.file.read_bytes()


def test_what_a_killed_worker_was_at_is_done_again(two_workers, classifier, tmp_path, small_parts, monkeypatch):
    """The first worker that comes to the third part is killed; the part is there once in the end."""
    photos = striped(tmp_path / "photos", 60, seed=4).root

    class Mortal(Worker):  # goes to the workers as it is written here, since it has no name in a module
        def __call__(self, batch):
            mark = self.job.folder.parent / "killed"
            if 2 in batch["part"].tolist() and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return Worker.__call__(self, batch)

    monkeypatch.setattr("linnaea.experiments.scoring.on_ray.Worker", Mortal)
    side_by_side = ln.score(classifier, photos, tmp_path / "ray.parquet", on="ray")
    assert (tmp_path / "killed").exists(), "a worker was killed"
    here = ln.score(classifier, photos, tmp_path / "here.parquet")
    assert side_by_side.file.read_bytes() == here.file.read_bytes()
    assert not list(tmp_path.glob("*.parts"))


def test_a_broken_scoring_goes_on_side_by_side(two_workers, classifier, tmp_path, small_parts, monkeypatch):
    photos = striped(tmp_path / "photos", 40, seed=5).root
    made = []

    def stopping(*given):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(answered(*given))

    with monkeypatch.context() as patched:
        patched.setattr("linnaea.experiments.scoring.carrying_out.answered", stopping)
        with pytest.raises(KeyboardInterrupt):
            ln.score(classifier, photos, tmp_path / "scores.parquet")
    scored = ln.score(classifier, photos, tmp_path / "scores.parquet", on="ray")
    assert scored.kept == 16
    whole = ln.score(classifier, photos, tmp_path / "whole.parquet")
    assert scored.file.read_bytes() == whole.file.read_bytes()
