"""What members of an ensemble have seen is not judged by: the same files, near-duplicates, others of a group."""

import pyarrow as pa
import pytest
from material import run as command
from material import smooth

import linnaea
from linnaea.data.hashing import hash_files
from linnaea.data.images.pixels import Recipe
from linnaea.dataset import Dataset
from linnaea.errors import RunError, UsageError
from linnaea.experiments.seen_by_members import left_of
from linnaea.run import Run

SPLITS = ["train"] * 6 + ["val"] * 4 + ["test"] * 4


def member(folder, images, splits, groups=None):
    """A run that has only its manifest, of these images (PIL, and the options they are saved with)."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for number, ((image, ending), split) in enumerate(zip(images, splits, strict=True)):
        name = f"{number:02}.{ending}"
        image.save(folder / "images" / name)
        rows.append({"path": name, "label": ("cat", "dog")[number % 2], "split": split})
    dataset = Dataset(pa.Table.from_pylist(rows), ("cat", "dog"), "binary", folder / "images")
    if groups is not None:
        dataset = dataset.with_column("group", groups)
    run = Run.create(folder / "run", {}, "linnaea train")
    run.write_dataset(dataset.with_column("sha256", [str(digest) for digest in hash_files(dataset.paths)]))
    return run


def pictures(first, count=14):
    return [(smooth(number), "png") for number in range(first, first + count)]


def test_a_near_duplicate_of_what_a_member_trained_on_is_train(tmp_path):
    first = member(tmp_path / "a", pictures(0), SPLITS)
    copies = [(smooth(number).resize((60, 60)), "jpg") for number in (6, 7, 10)]  # of two of val and one of test
    second = member(tmp_path / "b", [*copies, *pictures(100, 11)], ["train"] * 14)
    left = left_of([first, second], Recipe(64), "near")
    assert [left.column("split")[row] for row in (6, 7, 10)] == ["train"] * 3
    assert [left.column("split")[row] for row in (8, 9, 11, 12, 13)] == ["val", "val", "test", "test", "test"]
    exact = left_of([first, second], Recipe(64), "exact")
    assert exact.column("split") == SPLITS


def test_another_photo_of_a_subject_that_a_member_trained_on_is_train(tmp_path):
    subjects = [f"bird {number}" for number in range(14)]
    first = member(tmp_path / "a", pictures(0), SPLITS, subjects)
    others = ["bird 8", "bird 12", *(f"cow {number}" for number in range(12))]
    second = member(tmp_path / "b", pictures(100), ["train", "val", *["train"] * 12], others)
    left = left_of([first, second], Recipe(64), "exact")
    assert left.column("split")[8] == "train"
    assert left.column("split")[12] == "val"
    assert left.column("split")[9] == "val"
    assert left.column("split")[13] == "test"


def test_members_that_split_the_same_images_alike_keep_their_splits(tmp_path, caplog):
    runs = [member(tmp_path / name, pictures(0), SPLITS) for name in "ab"]
    assert left_of(runs, Recipe(64), "near").column("split") == SPLITS
    assert not caplog.records


def test_what_can_no_longer_be_read_is_said(tmp_path, caplog):
    first = member(tmp_path / "a", pictures(0), SPLITS)
    second = member(tmp_path / "b", pictures(100), ["train"] * 14)
    (tmp_path / "b" / "images" / "03.png").unlink()
    assert left_of([first, second], Recipe(64), "near").column("split") == SPLITS
    assert "1 image of the members can no longer be read" in caplog.text


def test_a_run_given_twice_is_refused_before_any_is_read(tmp_path, monkeypatch, capsys):
    for name in "ab":
        (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match="is given twice, and would count twice"):
        linnaea.ensemble([tmp_path / "a", tmp_path / "b", tmp_path / "a"])
    assert command(["ensemble", tmp_path / "a", tmp_path / "b", tmp_path / "b" / ".." / "a"], monkeypatch) == 2
    assert "is given twice" in capsys.readouterr().err


def test_what_cannot_be_resumed_is_not_offered_it(tmp_path):
    Run.create(tmp_path / "run", {"members": ["a", "b"]}, "linnaea ensemble a b")
    with pytest.raises(RunError, match="already exists: choose another --out") as told:
        Run.create(tmp_path / "run", {"members": ["a", "b"]}, "linnaea ensemble a b")
    assert "--resume" not in str(told.value)
    with pytest.raises(RunError, match="continue it with --resume"):
        Run.create(tmp_path / "run", {"model": "hog"}, "linnaea train data")
