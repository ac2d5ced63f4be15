"""Which names of folders and cells mean a split, and when it is asked instead."""

import pytest
from material import pack, reasons, touch

from linnaea.data.sources import read
from linnaea.data.sources.split_words import split_of, splits_among
from linnaea.errors import DataError


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("training_set", "test_set"), ("train", "test")),
        (("trn", "tst"), ("train", "test")),
        (("Training Images", "Validation Images"), ("train", "val")),
        (("train", "dev", "holdout"), ("train", "val", "test")),
        (("train", "hold-out"), ("train", "test")),
        (("train", "eval"), ("train", "test")),
        (("train", "val", "eval"), ("train", "val", "test")),
        (("train", "eval", "test"), ("train", "val", "test")),
        (("seg_train", "seg_test"), ("train", "test")),
        (("train2017", "val2017"), ("train", "val")),
        (("trainset", "testset"), ("train", "test")),
    ],
)
def test_usual_words_are_splits(tmp_path, names, splits):
    assert tuple(splits_among(names).values()) == splits
    dataset = read(touch(tmp_path, *(f"{name}/{label}/1.png" for name in names for label in ("cat", "dog"))))
    assert dataset.classes == ("cat", "dog")
    found = dict(zip([name.split("/")[0] for name in dataset.ids], dataset.column("split"), strict=True))
    assert found == dict(zip(names, splits, strict=True))


@pytest.mark.parametrize(
    "names", [("bullet train", "test tube"), ("car", "plane"), ("trainer", "tester"), ("set", "1")]
)
def test_other_words_are_none(tmp_path, names):
    assert splits_among(names) == {}
    assert read(touch(tmp_path, *(f"{name}/a/1.png" for name in names))).classes == tuple(sorted(names))


def test_names_of_splits_alone():
    assert [split_of(name) for name in ("TRAIN ", "val_images", "eval", "seg_train", "x")] == [
        "train",
        "val",
        "test",
        None,
        None,
    ]


def test_a_folder_to_predict_is_listed_and_no_class(tmp_path):
    dataset = read(touch(tmp_path, "train/cat/1.png", "train/dog/2.png", "predict/3.png"))
    assert (dataset.classes, dataset.column("split")) == (("cat", "dog"), ["train", "train"])
    assert reasons(dataset) == {"predict/3.png": "in a folder of images without labels"}


@pytest.mark.parametrize("other", ["extra/cat/3.png", "extra/3.png"])
@pytest.mark.parametrize("ending", ["", ".zip"])
def test_a_word_that_is_not_understood_stops_with_a_question(tmp_path, other, ending):
    names = ("train/cat/1.png", "train/dog/2.png", other)
    place = pack(tmp_path / "x.zip", dict.fromkeys(names, b"")) if ending else touch(tmp_path / "x", *names)
    with pytest.raises(DataError, match=r"train \(train\), beside 'extra'.*rename it to train, val or test"):
        read(place)


def test_classes_called_like_splits_are_classes(tmp_path):
    assert read(touch(tmp_path / "a", "train/1.png", "tram/2.png")).classes == ("train", "tram")
    assert read(touch(tmp_path / "b", "test/1.png", "control/2.png")).classes == ("control", "test")
    assert read(touch(tmp_path / "c", "train/1.png", "tram/old/2.png")).classes == ("train", "tram")


def test_a_test_folder_alone_is_a_split(tmp_path):
    assert read(touch(tmp_path, "test/cat/1.png", "test/dog/2.png")).column("split") == ["test", "test"]


def test_a_split_folder_within_one_of_its_name(tmp_path):
    dataset = read(
        touch(tmp_path, "train/train/cat/1.png", "train/train/dog/1.png", "test/test/cat/2.png", "test/x.txt")
    )
    assert dataset.classes == ("cat", "dog")
    assert dataset.column("split") == ["test", "train", "train"]
    assert reasons(dataset) == {"test/x.txt": "not in a class folder"}


def test_splits_of_a_table_are_read_in_the_same_words(tmp_path):
    touch(tmp_path, "1.png", "2.png", "3.png")
    words = ("Training set", "dev", "holdout")
    lines = [f"{number}.png,a,{word}" for number, word in enumerate(words, 1)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,split", *lines]))
    assert read(tmp_path).column("split") == ["train", "val", "test"]


def test_unusual_words_are_said(tmp_path, caplog):
    caplog.set_level("INFO", "linnaea")
    read(touch(tmp_path / "a", "train/cat/1.png", "test/cat/2.png"))
    assert not caplog.text
    read(touch(tmp_path / "b", "trn/cat/1.png", "tst/cat/2.png"))
    assert "'tst' is read as test" in caplog.text
