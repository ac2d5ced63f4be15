"""Evidence is never falsified, overwritten or mixed up, whatever happens to the photos between two commands."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import linnaea as ln
from linnaea.run import Run


def paint(folder, count=20, seed=0):
    """Dark and bright noise, in class folders."""
    generator = np.random.default_rng(seed)
    for label, level in (("bright", 150), ("dark", 20)):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = generator.integers(level, level + 90, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number:03}.png")
    return folder


def learn(photos, out, **options):
    ln.train(photos, out=out, model="majority,hog", weights="none", **options)
    return out


@pytest.fixture
def photos(tmp_path):
    return paint(tmp_path / "photos")


@pytest.fixture
def run(photos, tmp_path):
    return learn(photos, tmp_path / "run")


def first_test_image(run) -> Path:
    return Run.open(run).dataset().split("test").paths[0]


@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_a_test_image_that_is_not_what_it_was_stops_the_evaluation(run, harm):
    before = (run / "metrics.json").read_text()
    image = first_test_image(run)
    image.unlink() if harm == "gone" else Image.new("RGB", (24, 24), "red").save(image)
    with pytest.raises(ln.LinnaeaError, match="have changed or are missing"):
        ln.evaluate(run)
    assert (run / "metrics.json").read_text() == before


def test_images_of_the_training_are_not_judged(run, photos, caplog):
    evaluation = ln.evaluate(run, photos)
    dataset = Run.open(run).dataset()
    assert set(evaluation.predictions.column("id")) == set(dataset.split("test").ids)
    assert "trained or tuned on them" in caplog.text
    assert json.loads((run / "run.json").read_text())["test_opened"][-1]["by"] == f"evaluate on {photos}"


def test_nothing_is_judged_where_all_was_trained_on(run, tmp_path):
    copies = tmp_path / "copies"
    for path, file in zip(
        *(getattr(Run.open(run).dataset().split("train"), name) for name in ("ids", "paths")), strict=True
    ):
        (copies / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copies / path)
    with pytest.raises(ln.LinnaeaError, match="trained or tuned on every image"):
        ln.evaluate(run, copies)


def test_folders_of_one_name_do_not_overwrite_each_other(run, tmp_path):
    for place, seed in (("a", 5), ("b", 6)):
        ln.evaluate(run, paint(tmp_path / place / "audit", count=4, seed=seed))
    names = [name for name in json.loads((run / "metrics.json").read_text()) if name.startswith("audit-")]
    assert len(names) == 2
    assert "small_classes" in (run / "findings" / "audit.json").read_text()


def test_broken_images_of_a_given_test_split_count_as_wrong(tmp_path):
    for split, seed in (("train", 1), ("val", 2), ("test", 3)):
        paint(tmp_path / "photos" / split, seed=seed)
    (tmp_path / "photos" / "test" / "dark" / "000.png").write_bytes(b"not a picture")
    run = learn(tmp_path / "photos", tmp_path / "run")
    for accuracy in (
        json.loads((run / "metrics.json").read_text())["test"]["accuracy"],
        vars(ln.evaluate(run).figures["accuracy"]),
    ):
        assert accuracy["n"] == 40
        assert accuracy["value"] == pytest.approx(39 / 40)
    assert Run.open(run).predictions("test").column("reason").count("unreadable") == 1


def test_runs_on_other_images_of_the_same_names_are_not_compared(run, tmp_path):
    other = learn(paint(tmp_path / "other", seed=9), tmp_path / "other run")
    with pytest.raises(ln.LinnaeaError, match="the same name in both runs but different content"):
        ln.compare(run, other)


def test_runs_of_one_name_are_told_apart(tmp_path):
    photos = paint(tmp_path / "photos", count=80)
    ln.train(photos, out=tmp_path / "one" / "run", model="majority", weights="none")
    learn(photos, tmp_path / "two" / "run")
    comparison = ln.compare(tmp_path / "one" / "run", tmp_path / "two" / "run")
    assert comparison.sentence.startswith(
        f"{tmp_path / 'two' / 'run'} is more accurate than {tmp_path / 'one' / 'run'}"
    )


def test_a_run_is_not_compared_with_itself(run):
    with pytest.raises(ln.LinnaeaError, match="are the same: name two"):
        ln.compare(run, run)


def test_resume_without_a_folder_finds_the_unfinished_run(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ln.LinnaeaError, match="no unfinished run"):
        ln.train(photos, model="majority,hog", weights="none", resume=True)
    from linnaea.experiments import training_run

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training_run, "climb", stop)
        with pytest.raises(KeyboardInterrupt):
            ln.train(photos, model="majority,hog", weights="none")
    classifier = ln.train(photos, model="majority,hog", weights="none", resume=True)
    assert classifier.provenance["run"] == "photos"
    assert [folder.name for folder in Path("runs").iterdir()] == ["photos"]


def test_a_run_is_not_resumed_with_other_weights_or_sizes(photos, tmp_path, monkeypatch):
    from linnaea.experiments import training, training_run

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training_run, "climb", stop)
        with pytest.raises(KeyboardInterrupt):
            learn(photos, tmp_path / "run")
    monkeypatch.setattr(training, "picture_size", lambda *_: 64)
    with pytest.raises(ln.LinnaeaError, match="its recipe would now differ"):
        learn(photos, tmp_path / "run", resume=True)


@pytest.mark.slow
def test_a_fixed_camera_is_recognised(tmp_path):
    generator = np.random.default_rng(0)
    product = generator.integers(0, 255, (8, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1).astype(int)
    for label in ("good", "scratched"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(30):
            pixels = product + generator.integers(-6, 7, product.shape)
            if label == "scratched":
                top, left = generator.integers(0, 50, 2)
                pixels[top : top + 3, left : left + 12] = 255
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "photos" / label / f"{number}.png")
    (finding, *_) = ln.audit(tmp_path / "photos")
    assert (finding.name, finding.severity) == ("alike", "warning")
    splits = ln.split(tmp_path / "photos").column("split")
    assert splits.count("train") == 42
    assert min(splits.count("val"), splits.count("test")) >= 8


def test_fractions_and_given_splits_exclude_each_other(tmp_path):
    for split in ("train", "val"):
        paint(tmp_path / split, count=3)
    with pytest.raises(ln.LinnaeaError, match="already have splits"):
        ln.split(tmp_path, fractions={"train": 0.8, "val": 0.1, "test": 0.1})
