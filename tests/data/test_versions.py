"""What changed between two versions: told by content, image by image, each file read once."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from material import draw_pets, run
from PIL import Image

import linnaea
import linnaea.data.hashing as hashing
from linnaea.data.versions.changes import diff
from linnaea.dataset import Dataset, Excluded
from linnaea.run import Run


@pytest.fixture
def photos(tmp_path):
    """Class folders `cat` and `dog` of five images each."""
    return draw_pets(tmp_path / "old", *(f"{number}.png" for number in range(10)))


@pytest.fixture
def copied(photos):
    return shutil.copytree(photos, photos.with_name("new"))


def told(found):
    return {(change.kind, change.path) for change in found.changes}


def test_a_copy_does_not_differ(photos, copied):
    found = linnaea.diff(photos, copied)
    assert not found.differs
    assert found.images == (10, 10)
    assert found.fingerprints[0] == found.fingerprints[1]
    assert str(found).splitlines()[-1] == "Nothing differs."


def test_every_kind_of_change_in_a_folder(photos, copied):
    (copied / "cat" / "0.png").unlink()
    (copied / "cat" / "2.png").rename(copied / "cat" / "two.png")
    (copied / "cat" / "4.png").rename(copied / "dog" / "4.png")
    shutil.copy(photos / "cat" / "0.png", copied / "dog" / "1.png")
    Image.new("RGB", (16, 16)).save(copied / "dog" / "new.png")
    found = linnaea.diff(photos, copied)
    assert told(found) == {
        ("moved", "dog/1.png"),
        ("relabelled", "dog/1.png"),
        ("moved", "cat/two.png"),
        ("moved", "dog/4.png"),
        ("relabelled", "dog/4.png"),
        ("removed", "dog/1.png"),
        ("added", "dog/new.png"),
    }
    assert found.counts == {"added": 1, "removed": 1, "moved": 3, "relabelled": 2}
    assert found.of("moved")[0].before == "cat/2.png"
    assert next(change for change in found.of("relabelled") if change.path == "dog/4.png").before == "cat"
    assert found.classes == ({"class": "cat", "before": 5, "after": 3}, {"class": "dog", "before": 5, "after": 7})
    assert "1 added (only in the second): dog/new.png" in str(found)
    assert "class cat: 5 images before, 3 after" in str(found)


def test_another_content_under_the_same_name(photos, copied):
    Image.new("RGB", (16, 16)).save(copied / "cat" / "0.png")
    found = linnaea.diff(photos, copied)
    assert told(found) == {("changed", "cat/0.png")}
    assert len(found.changes[0].before) == len(found.changes[0].after) == 64


def test_swapped_names_are_moves(photos, copied):
    (copied / "cat" / "0.png").rename(copied / "spare")
    (copied / "cat" / "2.png").rename(copied / "cat" / "0.png")
    (copied / "spare").rename(copied / "cat" / "2.png")
    assert told(linnaea.diff(photos, copied)) == {("moved", "cat/0.png"), ("moved", "cat/2.png")}


def test_tables_are_what_they_recorded(photos, monkeypatch):
    rows = [row.split(",") for row in linnaea.split(photos).manifest().splitlines()]
    first = photos / "v1.csv"
    first.write_text("\n".join(",".join(row) for row in rows))
    for row in rows[1:]:
        row[2] = "test" if row[0] == "cat/0.png" else row[2]
        row[1] = "wolf" if row[0] == "dog/1.png" else row[1]
        row[4] = "0" * 64 if row[0] == "cat/2.png" else row[4]
    second = photos / "v2.csv"
    second.write_text("\n".join(",".join(row) for row in rows))
    monkeypatch.setattr(hashing, "sha256_of", lambda path: pytest.fail(f"{path} was read"))
    found = linnaea.diff(first, second)
    assert ("relabelled", "dog/1.png") in told(found)
    assert ("changed", "cat/2.png") in told(found)
    assert {change.path for change in found.of("resplit")} <= {"cat/0.png"}


def test_a_folder_is_what_lies_in_it_whatever_its_manifest_says(photos):
    (photos / "manifest.csv").write_text(linnaea.split(photos).manifest())
    shutil.copy(photos / "manifest.csv", photos / "v1.csv")
    Image.new("RGB", (16, 16)).save(photos / "cat" / "0.png")
    (photos / "dog" / "1.png").unlink()
    found = linnaea.diff(photos / "v1.csv", photos)
    assert told(found) == {("changed", "cat/0.png")}
    (photos / "manifest.csv").unlink()
    found = linnaea.diff(photos / "v1.csv", photos)
    assert told(found) == {("changed", "cat/0.png"), ("removed", "dog/1.png")}


@pytest.fixture
def finished(photos, tmp_path):
    """A run folder with the manifest of what it used."""
    run = Run.create(tmp_path / "runs" / "pets", {}, "linnaea train old")
    run.write_dataset(linnaea.split(photos))
    return run


def test_a_run_is_the_version_that_it_used(photos, finished):
    found = linnaea.diff(finished.folder, photos)
    assert not found.differs
    assert found.notes == (f"Not compared: split, which {finished.folder} has and {photos} does not.",)
    assert found.fingerprints[0] == finished.record()["dataset"]["fingerprint"]
    (photos / "cat" / "0.png").unlink()
    assert told(linnaea.diff(finished, photos)) == {("removed", "cat/0.png")}


def test_what_a_run_left_out_is_not_compared_with_files_nobody_looked_into(photos, tmp_path):
    (photos / "cat" / "broken.png").write_bytes(b"no picture")
    run = Run.create(tmp_path / "runs" / "pets", {}, "linnaea train old")
    run.write_dataset(linnaea.split(photos))
    found = linnaea.diff(run, photos)
    assert not found.differs
    assert found.notes[-1].startswith("Not compared: 1 files that one left out")
    assert "cat/broken.png" in found.notes[-1]


def test_what_one_run_used_and_another_left_out_differs():
    used = dataset_of([("a.png", "1", "cat"), ("b.png", "2", "dog")])
    other = used.without([Excluded("b.png", "truncated")])
    assert told(diff(used, other)) == {("left out", "b.png")}
    assert told(diff(other, used)) == {("taken in", "b.png")}
    assert diff(used, other).changes[0].after == "truncated"


def dataset_of(rows, **columns):
    paths, contents, labels = map(list, zip(*rows, strict=True))
    table = pa.table({"path": paths, "label": labels, "sha256": contents, **columns})
    return Dataset(table, tuple(sorted(set(labels))), "multiclass", Path())


def test_splits_groups_and_times_are_compared():
    rows = [("a.png", "1", "cat"), ("b.png", "2", "dog")]
    first = dataset_of(rows, split=["train", "val"], group=["x", None], time=["1", "2"])
    second = dataset_of(rows, split=["train", "test"], group=["y", None], time=["1", "3"])
    found = diff(first, second)
    assert [(change.kind, change.path, change.before, change.after) for change in found.changes] == [
        ("resplit", "b.png", "val", "test"),
        ("regrouped", "a.png", "x", "y"),
        ("retimed", "b.png", "2", "3"),
    ]


def test_several_labels_are_compared_as_sets():
    def labelled(*lists):
        table = pa.table({"path": ["a.png", "b.png"], "label": list(lists), "sha256": ["1", "2"]})
        return Dataset(table, ("cat", "dog"), "multilabel", Path())

    found = diff(labelled(["cat", "dog"], ["cat"]), labelled(["dog", "cat"], []))
    assert [(change.kind, change.path, change.before) for change in found.changes] == [("relabelled", "b.png", "cat|")]
    assert found.classes == ({"class": "cat", "before": 2, "after": 1}, {"class": "dog", "before": 1, "after": 1})


ROWS = st.lists(
    st.tuples(st.sampled_from([f"{n}.png" for n in range(12)]), st.sampled_from("pqrstu"), st.sampled_from("ab")),
    min_size=1,
    max_size=12,
    unique_by=lambda row: row[0],
)


@settings(max_examples=60, deadline=None)
@given(first=ROWS, second=ROWS, data=st.data())
def test_the_changes_account_for_every_image(first, second, data):
    one, other = dataset_of(first), dataset_of(second)
    found = diff(one, other)
    counts = found.counts
    assert len(one) - counts.get("removed", 0) == len(other) - counts.get("added", 0)
    contents = [{path: content for path, content, _ in rows} for rows in (first, second)]
    for change in found.of("moved"):
        assert contents[0][change.before] == contents[1][change.path]
    for change in found.of("changed"):
        assert (change.before, change.after) == (contents[0][change.path], contents[1][change.path])
    assert found.differs == (sorted(first) != sorted(second))
    order = data.draw(st.permutations(range(len(second))))
    assert diff(one, other.take(order)).changes == found.changes
    back = diff(other, one).counts
    assert (back.get("added", 0), back.get("moved", 0)) == (counts.get("removed", 0), counts.get("moved", 0))


def test_each_file_is_read_once_though_both_versions_have_it(photos, monkeypatch):
    read, really = [], hashing.sha256_of
    monkeypatch.setattr(hashing, "sha256_of", lambda path: (read.append(path), really(path))[1])
    linnaea.diff(photos, photos)
    assert len(read) == 10


def test_a_file_that_cannot_be_read_is_left_out_with_the_reason(photos):
    dataset = linnaea.read(photos)
    (photos / "cat" / "0.png").unlink()
    (hashed,) = hashing.hashed(dataset)
    assert len(hashed) == 9
    assert hashed.excluded[-1] == Excluded("cat/0.png", "cannot be read: No such file or directory", "cat")


def test_the_command_prints_json_and_is_strict_when_asked(photos, copied, monkeypatch, capsys):
    assert run(["diff", photos, copied, "--strict"], monkeypatch) == 0
    (copied / "cat" / "0.png").unlink()
    assert run(["diff", photos, copied], monkeypatch) == 0
    assert "1 removed" in capsys.readouterr().out
    assert run(["diff", photos, copied, "--json", "--strict"], monkeypatch) == 1
    printed = capsys.readouterr()
    content = json.loads(printed.out)
    assert content["changes"] == [{"kind": "removed", "path": "cat/0.png", "before": "cat", "after": None}]
    assert content["differs"]
    assert [version["images"] for version in content["versions"]] == [10, 9]
    assert "differ: 1 removed" in printed.err
    assert run(["diff", photos, photos / "absent"], monkeypatch) == 2
