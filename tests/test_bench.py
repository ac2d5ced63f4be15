"""`linnaea bench`: each folder in a process of its own, on the same images."""

import json
import subprocess
import sys

import numpy as np
import pytest
from material import run
from PIL import Image

import linnaea as ln
from linnaea.classifier import Classifier, load
from linnaea.classifier.scorers.torch_model import TorchScorer
from linnaea.data.images.pixels import Recipe
from linnaea.experiments import benching
from linnaea.experiments.bench_worker import most_memory
from linnaea.experiments.benching import over_rounds, size_of
from linnaea.models import build

SIZE = 16


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number in range(5):
        Image.new("RGB", (30, 20), (60 * number, 90, 10)).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG broken")
    return folder


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    for name in ("first", "second"):
        scorer = TorchScorer(build("majority", {"classes": 3}).eval())
        Classifier(scorer, ("ant", "bee", "wasp"), "multiclass", Recipe(SIZE)).save(folder / name)
    return [folder / "first", folder / "second"]


def test_every_folder_is_measured_in_a_process_of_its_own(bundles, photos, monkeypatch, capsys):
    assert run(["bench", *bundles, "--images", photos, "--rounds", 2, "--threads", 1, "--json"], monkeypatch) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["images"], told["threads"], told["rounds"]) == (5, 1, 2)
    assert [each["folder"] for each in told["measured"]] == [str(bundle) for bundle in bundles]
    for each, bundle in zip(told["measured"], bundles, strict=True):
        assert each["kind"] == "torch"
        assert 0 < each["latency_p50"]["value"] <= each["latency_p95"]["value"] < 5
        for name in ("latency_p50", "latency_p95", "files_per_second", "tensors_per_second"):
            assert each[name]["lo"] <= each[name]["value"] <= each[name]["hi"]
        assert each["megabytes"] == size_of(bundle)
        assert each["memory"] > 50, "of its own process, with torch in it"
        assert each["first_answer"] > 0.1


def test_memory_is_that_of_the_process_itself_not_of_what_started_it(tmp_path):
    held = """
import subprocess, sys
held = bytearray(400_000_000)
held[::4096] = b"x" * len(held[::4096])
words = "from linnaea.experiments.bench_worker import most_memory; print(most_memory())"
print(subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout)
"""
    done = subprocess.run([sys.executable, "-c", held], capture_output=True, text=True, check=True)
    assert 1e6 < int(done.stdout) < 3e8
    (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t    2048 kB\n")
    assert most_memory(tmp_path / "status") == 2048 * 1024


def test_a_first_answer_does_not_wait_for_another_folder(bundles, photos, monkeypatch):
    order = []

    class Watched(benching.Worker):
        def __init__(self, folder, threads, trust=()):
            order.append(("started", folder.name))
            super().__init__(folder, threads, trust)

        def prepare(self, paths):
            super().prepare(paths)
            order.append(("answered", self.folder.name))

    monkeypatch.setattr(benching, "Worker", Watched)
    ln.bench(bundles, images=photos, rounds=1, threads=1)
    assert order == [("started", "first"), ("answered", "first"), ("started", "second"), ("answered", "second")]


def test_more_threads_than_there_are_and_unequal_images_are_refused(bundles, photos, tmp_path):
    with pytest.raises(ln.LinnaeaError, match=r"threads is 9999; this process may use \d+"):
        ln.bench(bundles[:1], images=photos, rounds=1, threads=9999)
    narrow = load(bundles[0]).allowing(700).save(tmp_path / "narrow")
    Image.new("RGB", (50, 20)).save(photos / "large.png")
    try:
        with pytest.raises(ln.LinnaeaError, match=r"not all can read the same images \(.*first 6, .*narrow 5\)"):
            ln.bench([bundles[0], narrow], images=photos, rounds=1)
    finally:
        (photos / "large.png").unlink()


def test_without_images_and_without_a_run_they_are_asked_for(bundles):
    with pytest.raises(ln.LinnaeaError, match=r"none of the folders is a run.*--images"):
        ln.bench(bundles)


def test_images_that_cannot_be_read_are_refused(bundles, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(ln.LinnaeaError, match="none of the images can be read"):
        ln.bench(bundles[:1], images=tmp_path, rounds=1)


def test_a_folder_that_cannot_be_loaded_says_why(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ln.LinnaeaError, match=r"could not be measured: .*does not hold a readable classifier"):
        ln.bench(tmp_path / "empty", images=photos, rounds=1)


def test_intervals_over_rounds_hold_the_truth_about_as_often_as_they_say():
    random, inside = np.random.default_rng(0), 0
    for _ in range(400):
        estimate = over_rounds(np.exp(np.log(8.0) + random.normal(0, 0.2, 5)).tolist(), 5)
        inside += estimate.lo <= 8.0 <= estimate.hi
    assert 0.92 < inside / 400 < 0.98
    assert over_rounds([3.0], 1).lo is None
