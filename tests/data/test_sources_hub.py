"""Objects of the library `datasets`, and sets by name, without a network."""

import pickle
import struct
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linnaea.data.sources import named, read
from linnaea.errors import DataError, MissingExtraError, UsageError
from linnaea.runtime.images import suffix_of

datasets = pytest.importorskip("datasets", reason="the library datasets comes with linnaea[hub]")


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """Whatever is cached lies in a folder of the test, and nothing asks the network."""
    monkeypatch.setenv("LINNAEA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def photos(folder, count=3):
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (9, 9), (number * 40, 0, 0)).save(folder / f"{number}.{'png' if number % 2 else 'jpg'}")
    return [str(folder / f"{number}.{'png' if number % 2 else 'jpg'}") for number in range(count)]


def labelled(files, labels, feature, **more):
    features = datasets.Features(
        {"image": datasets.Image(), "label": feature, **{name: datasets.Value("string") for name in more}}
    )
    return datasets.Dataset.from_dict({"image": files, "label": labels, **more}, features=features)


def test_a_dataset(tmp_path, caplog):
    caplog.set_level("INFO", "linnaea")
    files = photos(tmp_path / "photos")
    data = labelled(files, [1, 0, -1], datasets.ClassLabel(names=["cat", "dog"]), group=["x", None, "z"])
    dataset = read(data, folder=tmp_path / "here")
    assert dataset.labels == ["dog", "cat"]
    assert dataset.ids == ["images/00000000.jpg", "images/00000001.png"]
    assert [path.read_bytes() for path in dataset.paths] == [Path(file).read_bytes() for file in files[:2]]
    assert dataset.column("group") == ["x", None]
    assert dataset.excluded[0].reason == "no label given"
    assert "3 images were written to" in caplog.text


def test_a_dataset_dictionary_lies_below_the_cache_and_is_written_once(tmp_path):
    files = photos(tmp_path / "photos")
    kind = datasets.ClassLabel(names=["cat", "dog"])
    parts = {"train": labelled(files[:2], [0, 1], kind), "validation": labelled(files[2:], [0], kind)}
    data = datasets.DatasetDict(parts)
    dataset = read(data)
    assert Counter(dataset.column("split")) == {"train": 2, "val": 1}
    assert dataset.root.is_relative_to(tmp_path / "cache" / "sets")
    written = dataset.paths[0].stat().st_mtime_ns
    assert read(data).paths[0].stat().st_mtime_ns == written


def test_lists_of_classes_are_several_labels(tmp_path):
    files = photos(tmp_path / "photos")
    kind = datasets.Sequence(datasets.ClassLabel(names=["a|b", "c"]))
    dataset = read(labelled(files, [[0, 1], [], [1]], kind), folder=tmp_path / "here")
    assert dataset.labels == [["a|b", "c"], [], ["c"]]


def test_text_as_label_and_images_in_memory(tmp_path):
    image = Image.fromarray(np.full((5, 5, 3), 7, np.uint8))
    features = datasets.Features({"photo": datasets.Image(), "class": datasets.Value("string")})
    data = datasets.Dataset.from_dict({"photo": [image], "class": ["x"]}, features=features)
    dataset = read(data, folder=tmp_path / "here")
    assert (dataset.labels, dataset.paths[0].suffix) == (["x"], ".png")


def test_objects_that_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="a dict cannot be read"):
        read({})
    with pytest.raises(DataError, match="one with the feature Image"):
        read(datasets.Dataset.from_dict({"label": [1]}), folder=tmp_path / "a")
    kind = datasets.ClassLabel(names=["cat"])
    data = labelled(photos(tmp_path / "photos", 1), [0], kind)
    with pytest.raises(DataError, match="expected names such as train, validation and test"):
        read(datasets.DatasetDict({"somewhere": data}))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(UsageError, match="already exists"):
        read(data, folder=tmp_path / "full")
    monkeypatch.setenv("LINNAEA_CACHE", "none")
    with pytest.raises(UsageError, match=r"name one, linnaea\.read"):
        read(data)
    assert not list(tmp_path.glob(".*partial*"))


def test_a_folder_is_only_for_what_has_none(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").touch()
    with pytest.raises(UsageError, match="is already on disk"):
        read(tmp_path, folder=tmp_path / "b")


def test_a_folder_by_the_name_of_a_hub_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for split, label in product(("train", "test"), ("cat", "dog")):
        (tmp_path / "mine" / split / label).mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(tmp_path / "mine" / split / label / "1.png")
    dataset = read("hub:mine", folder=tmp_path / "here")
    assert sorted(zip(dataset.column("split"), dataset.labels, strict=True)) == [
        *product(("test",), ("cat", "dog")),
        *product(("train",), ("cat", "dog")),
    ]


def test_a_hub_set_without_a_network_says_what_was_tried():
    with pytest.raises(DataError, match=r"hub:nobody/nothing could not be loaded.*connect to the network"):
        read("hub:nobody/nothing")


def test_the_hub_needs_its_library(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"linnaea\[hub\]"):
        read("hub:owner/name")


def idx(*shape):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + bytes(int(np.prod(shape)))


def test_a_copy_of_a_torchvision_set_is_read_without_a_network(tmp_path):
    raw = tmp_path / "cache" / "sets" / "MNIST" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, shape in (("train-images-idx3", (2, 4, 4)), ("train-labels-idx1", (2,))):
        (raw / f"{name}-ubyte").write_bytes(idx(*shape))
    assert read("torchvision:MNIST").labels == ["0", "0"]


def test_a_torchvision_set_is_fetched_and_its_pickles_are_not_run(tmp_path, monkeypatch):
    def fetch(url, root, filename, md5):
        assert url.startswith("https://")
        folder = tmp_path / "cache" / "sets" / "CIFAR10" / "cifar-10-batches-py"
        folder.mkdir(parents=True)
        batch = {"data": np.zeros((1, 3072), np.uint8), "labels": [3]}
        (folder / "data_batch_1").write_bytes(pickle.dumps(batch))

    monkeypatch.setattr("torchvision.datasets.utils.download_and_extract_archive", fetch)
    assert read("torchvision:CIFAR10").labels == ["3"]


def test_every_torchvision_set_exists_and_says_when_it_cannot_be_fetched(monkeypatch):
    from torchvision import datasets as sets

    def refuse(*given, **more):
        raise OSError("no network")

    for name in named.SETS:
        assert hasattr(sets, name)
        monkeypatch.setattr(named, "SETS", {name: named.Named(refuse, "", lambda path: False, read)})
        with pytest.raises(DataError, match=rf"{name} is not in .* could not be downloaded \(no network\)"):
            read(f"torchvision:{name}")


def test_names_that_are_none(monkeypatch):
    with pytest.raises(UsageError, match="Did you mean 'CIFAR10'"):
        read("torchvision:CIFAR1O")
    monkeypatch.setenv("LINNAEA_CACHE", "none")
    with pytest.raises(UsageError, match="set LINNAEA_CACHE to one"):
        read("torchvision:MNIST")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"])
def test_every_format_is_known_by_its_beginning(tmp_path, kind):
    Image.new("RGB", (4, 4)).save(tmp_path / "x", kind)
    usual = {"JPEG": ".jpg", "TIFF": ".tif"}.get(kind, f".{kind.lower()}")
    assert suffix_of((tmp_path / "x").read_bytes()) == usual
    assert suffix_of(b"no image") == ""
