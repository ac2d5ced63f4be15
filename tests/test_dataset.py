"""The dataset: immutable, identified by its content, and the same after a way through a run's files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnaea.dataset import Dataset, Excluded
from linnaea.errors import DataError, RunError
from linnaea.run import Run

ROWS = [
    ("a/1.png", "a", "train", "p1", "00"),
    ("a/2, with comma.png", "a", "val", None, "11"),
    ("b/3.png", 'b "quoted"', "train", "p2", "22"),
    ("b/4\nline.png", 'b "quoted"', "test", "p1", "33"),
]
NAMES = ("path", "label", "split", "group", "sha256")


def dataset_of(rows=ROWS, excluded=(), root=Path()):
    columns = {name: [row[number] for row in rows] for number, name in enumerate(NAMES)}
    return Dataset(pa.table(columns), ("a", 'b "quoted"'), "binary", root, tuple(excluded))


@settings(deadline=None)
@given(order=st.permutations(range(len(ROWS))))
def test_the_fingerprint_does_not_depend_on_row_order(order):
    assert dataset_of().take(order).fingerprint == dataset_of().fingerprint


@pytest.mark.parametrize("column", NAMES)
def test_the_fingerprint_depends_on_every_column(column):
    dataset = dataset_of()
    values = dataset.column(column)
    changed = dataset.with_column(column, [*values[:-1], "other"])
    assert changed.fingerprint != dataset.fingerprint
    assert dataset.column(column) == values


def test_the_manifest_goes_through_a_run_and_back(tmp_path):
    excluded = [Excluded("a/x.png", "damaged image: a, b", "a|\\b", "train"), Excluded(".DS_Store", "hidden")]
    dataset = dataset_of(excluded=excluded, root=tmp_path)
    run = Run.create(tmp_path / "run", {}, "linnaea train")
    run.write_dataset(dataset)
    again = run.dataset()
    assert again.fingerprint == dataset.fingerprint == run.record()["dataset"]["fingerprint"]
    assert again.table.select(list(NAMES)).to_pylist() == dataset.table.to_pylist()
    assert again.excluded == dataset.excluded
    assert (again.classes, again.task, again.root) == (dataset.classes, dataset.task, tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"path,label\na,b\n", b"path,label,split,group,sha256,excluded\na,b\n", b"\xff\xfe"]
)
def test_a_manifest_that_was_changed_is_named(tmp_path, content):
    run = Run.create(tmp_path / "run", {}, "linnaea train")
    run.write_dataset(dataset_of(root=tmp_path))
    (tmp_path / "run" / "manifest.csv").write_bytes(content)
    with pytest.raises(RunError, match=r"manifest\.csv .* was changed; start a new run"):
        run.dataset()


def test_a_run_without_a_manifest_says_so(tmp_path):
    with pytest.raises(RunError, match="stopped before its data was read"):
        Run.create(tmp_path / "run", {}, "linnaea train").dataset()


def test_what_is_taken_out_is_remembered():
    dataset = dataset_of().without([Excluded("a/1.png", "truncated")])
    assert len(dataset) == 3
    assert dataset.excluded == (Excluded("a/1.png", "truncated", "a", "train", (("group", "p1"),)),)
    assert "truncated" in dataset.manifest()


def test_columns_splits_and_targets():
    dataset = dataset_of(root=Path("photos"))
    assert dataset.targets.tolist() == [0, 0, 1, 1]
    assert dataset.split("train").ids == ["a/1.png", "b/3.png"]
    assert len(dataset.split("nothing")) == 0
    assert dataset.paths[0] == Path("photos/a/1.png")
    with pytest.raises(DataError, match="no column 'site'; it has path, label"):
        dataset.column("site")


def several_of(**columns):
    """Four images of the classes a, b and c|d, some with several labels, one with none."""
    labels = [["a", "c|d"], [], ["b"], ["a"]]
    table = {"path": [f"{n}.png" for n in range(4)], "label": labels, "split": ["train", "train", "val", "test"]}
    return Dataset(pa.table({**table, **columns}), ("a", "b", "c|d"), "multilabel", Path("photos"))


def test_several_labels_and_their_targets():
    dataset = several_of(unknown=[["b"], None, [], ["b", "c|d"]])
    nan = float("nan")
    expected = [[1, nan, 1], [0, 0, 0], [0, 1, 0], [1, nan, nan]]
    assert np.array_equal(dataset.targets, np.array(expected, dtype=np.float32), equal_nan=True)
    assert np.array_equal(dataset.take([3, 1]).targets, dataset.targets[[3, 1]], equal_nan=True)
    assert dataset.take([]).targets.shape == (0, 3)
    absent = several_of(absent=[["b"], ["a"], [], None])
    expected = [[1, 0, 1], [0, nan, nan], [nan, 1, nan], [1, nan, nan]]
    assert np.array_equal(absent.targets, np.array(expected, dtype=np.float32), equal_nan=True)
    assert dataset_of().label_lists == [["a"], ["a"], ['b "quoted"'], ['b "quoted"']]


@pytest.mark.parametrize("name", ["unknown", "absent"])
def test_several_labels_go_through_a_run_and_back(tmp_path, name):
    dataset = several_of(**{name: [["b"], None, None, ["b", "c|d"]], "time": ["2024", None, "2025", "2026"]})
    dataset = replace(dataset, root=tmp_path, taxonomy={"a": "letter"})
    dataset = dataset.without([Excluded("1.png", "empty file (0 bytes)"), Excluded("3.png", "truncated")])
    run = Run.create(tmp_path / "run", {}, "linnaea audit")
    run.write_dataset(dataset)
    again = run.dataset()
    assert again.table.to_pylist() == dataset.table.to_pylist()
    assert (again.fingerprint, again.taxonomy, again.task) == (dataset.fingerprint, {"a": "letter"}, "multilabel")
    assert again.excluded == dataset.excluded
    assert [entry.label for entry in again.excluded] == ["|", "a|"]
    assert np.array_equal(again.targets, dataset.targets, equal_nan=True)
    assert again.with_unreadable("test").labels == [["a", "c|d"], ["b"], ["a"]]


def test_the_fingerprint_depends_on_what_is_unknown_and_on_the_taxonomy():
    plain = several_of()
    assert plain.fingerprint != several_of(unknown=[["b"], [], [], []]).fingerprint
    assert plain.fingerprint != replace(plain, taxonomy={"a": "b"}).fingerprint
    assert plain.fingerprint == plain.with_column("label", [["c|d", "a"], [], ["b"], ["a"]]).fingerprint
