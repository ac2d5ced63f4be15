"""Whatever can be read is written as a folder or as shards, and says the same there."""

import hashlib
import os
import struct
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from linnaea import convert, read
from linnaea.data.writers.names import Names, safe
from linnaea.dataset import Dataset
from linnaea.errors import DataError, UsageError


def draw(root, *names):
    for number, name in enumerate(names):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 5), (number, 9, 9)).save(file)
    return root


def said(dataset):
    """What a dataset says of each content, whatever its paths are called."""
    columns = {
        name: dataset.column(name) for name in ("split", "group", "time", "site", "unknown") if dataset.has(name)
    }
    contents = [hashlib.sha256(path.read_bytes()).hexdigest() for path in dataset.paths]
    labels = [tuple(sorted(label)) for label in dataset.label_lists]
    plain = [[tuple(v) if isinstance(v, list) else v for v in column] for column in columns.values()]
    return tuple(columns), Counter(zip(contents, labels, *plain, strict=True))


FORMS = ["folder", "shards"]


@pytest.fixture(params=["classes", "splits", "several", "zip"])
def source(request, tmp_path):
    root = tmp_path / "source"
    if request.param == "classes":
        return draw(root, "Ünï cat/1.png", "Ünï cat/deep/1.jpg", "dog:?/1.gif", "dog:?/#.png", "CON/x.webp")
    if request.param == "splits":
        return draw(root, "train/a/1.png", "train/b/1.png", "valid/a/1.png", "test/b/1.bmp")
    draw(root, "photos/1.png", "photos/2.png", "photos/3.jpg")
    text = "path,label,split,group,time,site,unknown\n"
    text += "photos/1.png,a|x\\|y/z,train,=1+1,2024,,b\nphotos/2.png,,test,g,,n|s,\nphotos/3.jpg,b,train,g,2025,w,a|c\n"
    (root / "labels.csv").write_text(text)
    if request.param == "several":
        return root
    with zipfile.ZipFile(tmp_path / "source.zip", "w") as archive:
        for file in sorted(root.rglob("*.*")):
            archive.write(file, file.relative_to(tmp_path))
    return tmp_path / "source.zip"


@pytest.mark.parametrize("to", FORMS)
def test_a_round_trip(source, tmp_path, to):
    before = read(source)
    after = convert(source, tmp_path / "out", to=to)
    again = convert(tmp_path / "out", tmp_path / "again", to=FORMS[1 - FORMS.index(to)])
    assert said(after) == said(again) == said(before)
    for dataset in (after, again):
        assert (dataset.classes, dataset.task) == (before.classes, before.task)
        assert dict(dataset.taxonomy) == dict(before.taxonomy)
    assert sorted(after.column("source")) == sorted(again.column("source")) == sorted(before.ids)
    assert after.column("sha256") == [hashlib.sha256(path.read_bytes()).hexdigest() for path in after.paths]


def test_shards_say_all_of_it_without_the_manifest(source, tmp_path):
    after = convert(source, tmp_path / "out", to="shards", images_per_shard=2)
    (tmp_path / "out" / "manifest.csv").unlink()
    again = read(tmp_path / "out")
    assert said(again) == said(after)
    assert (again.task, again.taxonomy) == (after.task, after.taxonomy)
    for file in (tmp_path / "out").glob("*.tar"):
        with tarfile.open(file) as archive:
            assert len(archive.getnames()) <= 4
            assert {entry.mtime for entry in archive} == {0}


@pytest.mark.parametrize("to", FORMS)
def test_the_same_images_give_the_same_bytes(source, tmp_path, to):
    for name in ("one", "two"):
        convert(source, tmp_path / name, to=to)
    files = [sorted(file for file in (tmp_path / name).rglob("*") if file.is_file()) for name in ("one", "two")]
    assert [file.read_bytes() for file in files[0]] == [file.read_bytes() for file in files[1]]


def test_arrays_become_files(tmp_path):
    (tmp_path / "mnist").mkdir()
    images = np.arange(2 * 16, dtype=np.uint8).reshape(2, 4, 4)
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(
        struct.pack(">HBB3I", 0, 8, 3, 2, 4, 4) + images.tobytes()
    )
    (tmp_path / "mnist" / "train-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, 2) + b"\x07\x01")
    dataset = convert(tmp_path / "mnist", tmp_path / "out")
    assert dataset.ids == ["train/1/000001.bmp", "train/7/000000.bmp"]
    with Image.open(dataset.paths[1]) as image:
        assert np.array_equal(np.asarray(image), images[0])


def test_what_is_left_out_is_listed(tmp_path):
    draw(tmp_path / "in", "a/1.png", "b/2.png", "b/3.png")
    (tmp_path / "in" / "b" / "3.png").write_bytes(b"")
    (tmp_path / "in" / "notes.txt").touch()
    dataset = convert(tmp_path / "in", tmp_path / "out")
    assert {entry.path: entry.reason for entry in dataset.excluded} == {
        "notes.txt": "not in a class folder",
        "b/3.png": "empty file (0 bytes)",
    }


def test_only_some_splits(tmp_path):
    draw(tmp_path / "in", "train/a/1.png", "train/b/1.png", "val/a/1.png", "test/b/1.png")
    assert set(convert(tmp_path / "in", tmp_path / "out", split="train").column("split")) == {"train"}
    shards = convert(tmp_path / "in", tmp_path / "shards", split=("val", "test"), to="shards")
    assert shards.ids == ["test-000000.tar#00000000.png", "val-000000.tar#00000001.png"]
    with pytest.raises(UsageError, match="the split is 'dev'; expected train, val, test"):
        convert(tmp_path / "in", tmp_path / "x", split="dev")
    with pytest.raises(DataError, match="has no splits"):
        convert(tmp_path / "in" / "train", tmp_path / "x", split="train")
    draw(tmp_path / "more", "train/a/1.png", "train/b/1.png")
    with pytest.raises(DataError, match="has no image in test"):
        convert(tmp_path / "more", tmp_path / "x", split="test")


def test_a_target_that_holds_something_is_refused(tmp_path):
    draw(tmp_path / "in", "a/1.png", "b/2.png")
    (tmp_path / "out").mkdir()
    convert(tmp_path / "in", tmp_path / "out")
    for out in ("out", "in/a/1.png"):
        with pytest.raises(UsageError, match="already exists"):
            convert(tmp_path / "in", tmp_path / out)
    with pytest.raises(UsageError, match=r"unknown form to convert to 'folders'.*Did you mean 'folder'"):
        convert(tmp_path / "in", tmp_path / "x", to="folders")
    with pytest.raises(UsageError, match="images_per_shard is 0"):
        convert(tmp_path / "in", tmp_path / "x", images_per_shard=0)


@pytest.mark.parametrize("to", FORMS)
@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(28, os.strerror(28))])
def test_a_conversion_that_was_stopped_leaves_nothing(tmp_path, monkeypatch, to, stop):
    draw(tmp_path / "in", "a/1.png", "b/2.png")
    written = []

    def write(self, *given):
        written.append(self)
        raise stop

    monkeypatch.setattr("linnaea.data.writers.contract.Copies.written", write)
    with pytest.raises(type(stop) if isinstance(stop, OSError) else stop):
        convert(tmp_path / "in", tmp_path / "out", to=to)
    assert written
    assert [file.name for file in tmp_path.iterdir()] == ["in"]


NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=100) | st.sampled_from(
    ["", ".", "..", ".hidden", "con", "CON.txt", "a/b", "a\\b", "a#b.zip", "Thumbs.db", "x ", "x.", "~", "a" * 300]
)


@settings(deadline=None)
@given(names=st.lists(NAMES, max_size=8))
def test_any_names_become_safe_and_distinct(names):
    given_out = Names()
    kept = [given_out.give("", safe(name)) for name in names]
    assert len({name.casefold() for name in kept}) == len(names)
    for name in kept:
        assert name
        assert not name.startswith(".")
        assert not name.endswith((" ", "."))
        assert not set(name) & set('<>:"/\\|?*#\0')


def test_many_classes_of_odd_names(tmp_path):
    draw(tmp_path / "in", "1.png")
    classes = tuple(sorted(f"{'Aa'[n % 2]}{n // 2}{'?' * (n % 3 == 0)}" for n in range(2_000)))
    for number in range(len(classes)):
        os.link(tmp_path / "in" / "1.png", tmp_path / "in" / f"x{number}.png")
    table = pa.table({"path": [f"x{n}.png" for n in range(len(classes))], "label": list(classes)})
    dataset = convert(Dataset(table, classes, "multiclass", tmp_path / "in"), tmp_path / "out")
    assert dataset.classes == classes
    assert len({Path(path).parent.name.casefold() for path in dataset.ids}) == len(classes)


def test_real_sets_go_through(photo_sets, tmp_path):
    for name in ("coco256", "pcb"):
        before = read(photo_sets / name)
        part = before.take(range(0, len(before), 7))
        for to in FORMS:
            assert said(convert(part, tmp_path / f"{name} {to}", to=to)) == said(part)
