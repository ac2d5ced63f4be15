"""Files that cannot be read keep what else is known of them: they are judged with the group they belong to."""

from pathlib import Path

import pyarrow as pa
from material import smooth

import linnaea
from linnaea.dataset import Dataset, Excluded
from linnaea.run import Run


def table(**columns):
    rows = {"path": ["1.png", "2.png", "3.png"], "label": ["ant", "bee", "ant"], "split": ["test"] * 3} | columns
    return Dataset(pa.table(rows), ("ant", "bee"), "binary", Path(linnaea.__file__))


def test_metadata_and_group_are_remembered_and_come_back():
    dataset = table(site=["n", "s", "n"], age=[3, 4, None], group=["a", "b", "a"])
    kept = dataset.without([Excluded("3.png", "truncated"), Excluded("2.png", "empty")])
    back = kept.with_unreadable("test")
    assert back.ids == ["1.png", "2.png", "3.png"]
    assert back.column("site") == ["n", "s", "n"]
    assert back.column("age") == [3, 4, None]
    assert back.column("group") == ["a", "b", "a"]


def test_a_run_and_its_manifest_read_as_data_remember_them_too(tmp_path):
    dataset = table(site=["n", "s", "n"], time=["2024-01-01"] * 3).with_column("sha256", ["a", "b", "c"])
    run = Run.create(tmp_path / "run", {}, "linnaea train")
    run.write_dataset(dataset.without([Excluded("3.png", "truncated")]))
    assert run.dataset().with_unreadable("test").column("site") == ["n", "s", "n"]
    assert run.dataset().with_unreadable("test").column("time") == ["2024-01-01"] * 3
    for number in (1, 2):
        smooth(number).save(tmp_path / f"{number}.png")
    (tmp_path / "labels.csv").write_text((run.folder / "manifest.csv").read_text())
    (tmp_path / "3.png").write_bytes(b"no image")
    again = linnaea.read(tmp_path / "labels.csv")
    assert again.ids == ["1.png", "2.png"]
    assert again.with_unreadable("test").column("site") == ["n", "s", "n"]
