"""The main job on real photos, where `LINNAEA_DATA` and `LINNAEA_WEIGHTS` say they are."""

import json

import pytest

import linnaea as ln
from linnaea.run import Run


@pytest.mark.slow
def test_hymenoptera_with_frozen_weights(photo_sets, imagenet_weights, tmp_path):
    ln.train(photo_sets / "hymenoptera", out=tmp_path / "run", model="majority,hog,frozen", weights=imagenet_weights)
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert "test" not in figures
    assert figures["val"]["accuracy"]["value"] >= 0.9
    assert json.loads((tmp_path / "run" / "run.json").read_text())["chosen"] == "frozen"
    exported = ln.export(tmp_path / "run")
    assert exported.parity.figure.value < 1e-3


def test_clothing_keeps_its_own_splits_and_reports_a_leak(photo_sets, tmp_path):
    folder = some_of(photo_sets / "clothing", tmp_path / "clothing", 9)
    leaked = min((folder / "train" / "hat").iterdir())
    (folder / "test" / "hat" / "leaked.jpg").symlink_to(leaked.resolve())
    ln.train(folder, out=tmp_path / "run", model="majority", weights="none", img_size=32)
    dataset = Run.open(tmp_path / "run").dataset()
    folders = {"train": "train", "val": "validation", "test": "test"}
    for path, split in zip(dataset.ids, dataset.column("split"), strict=True):
        assert path.startswith(folders[split] + "/")
    audit = json.loads((tmp_path / "run" / "findings" / "audit.json").read_text())
    assert "duplicates_across_splits" in {finding["name"] for finding in audit}
    assert len(dataset.classes) == 10


def some_of(folder, place, count):
    """The first photos of each split and class of a set, in another folder."""
    for classes in (path for path in folder.glob("*/*") if path.is_dir()):
        own = place / classes.relative_to(folder)
        own.mkdir(parents=True)
        for photo in sorted(classes.iterdir())[:count]:
            (own / photo.name).symlink_to(photo)
    return place


@pytest.mark.parametrize("name", ["mnist-m"])
def test_tables_of_paths(photo_sets, name, tmp_path):
    dataset = ln.read(photo_sets / name)
    assert len(dataset) == 6_000
    assert set(dataset.column("split")) == {"train", "test"}


def test_several_labels_per_image_are_trained_on(photo_sets, tmp_path):
    dataset = ln.read(photo_sets / "coco256")
    assert (dataset.task, len(dataset)) == ("multilabel", 256)
    answer = ln.train(dataset, out=tmp_path / "run", model="majority").predict(dataset.paths[0])[0]
    assert set(answer["label"]) <= set(dataset.classes)
