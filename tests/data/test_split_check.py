"""A split that is given is looked at: every kind of leak is found and told, nothing is repaired."""

import json
import shutil

import numpy as np
import pytest
from material import run, smooth
from PIL import Image

import linnaea
from linnaea.data.audit import Inspection
from linnaea.data.audit.order import absent_classes, time_across_splits
from linnaea.errors import DataError, UsageError

HEADER = "path,label,split,group,time"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Twelve different images, 00.png to 11.png, and copy.jpg, which is 00.png once more."""
    folder = tmp_path_factory.mktemp("drawn")
    for number in range(12):
        smooth(number, 48).save(folder / f"{number:02}.png")
    Image.open(folder / "00.png").save(folder / "copy.jpg", quality=90)
    return folder


@pytest.fixture
def photos(drawn, tmp_path):
    return shutil.copytree(drawn, tmp_path / "photos")


def rows_in_order():
    """Twelve rows without a leak: six images of train, then three of val and of test, in time."""
    parts = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    return [[f"{n:02}.png", "ab"[n % 2], part, f"g{n}", f"2024-01-{n + 1:02}"] for n, part in enumerate(parts)]


def write(photos, rows, header=HEADER):
    (photos / "labels.csv").write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return photos


def found_by_name(findings):
    return {finding.name: finding for finding in findings}


def test_a_sound_split_has_shares_and_nothing_else(photos, monkeypatch, capsys):
    findings = linnaea.check_split(write(photos, rows_in_order()))
    assert [finding.name for finding in findings] == ["shares"]
    assert findings[0].summary == "6 train (50.0%), 3 val (25.0%), 3 test (25.0%)."
    before = (photos / "labels.csv").read_bytes()
    assert run(["split", photos, "--check"], monkeypatch) == 0
    assert "info     shares: 6 train" in capsys.readouterr().out
    assert (photos / "labels.csv").read_bytes() == before
    assert not (photos / "manifest.csv").exists()


def test_a_copy_in_another_split_is_a_leak(photos, monkeypatch, capsys):
    rows = [*rows_in_order(), ["copy.jpg", "a", "test", "g90", "2024-02-01"]]
    assert run(["split", write(photos, rows), "--check", "--json"], monkeypatch) == 1
    printed = capsys.readouterr()
    finding = next(entry for entry in json.loads(printed.out) if entry["name"] == "duplicates_across_splits")
    assert {(row["path"], row["split"]) for row in finding["rows"]} == {("00.png", "train"), ("copy.jpg", "test")}
    assert f"the splits of {photos} leak: duplicates_across_splits" in printed.err
    assert run(["split", photos, "--check", "--duplicates", "exact"], monkeypatch) == 0


def test_a_group_in_two_splits_is_a_leak(photos, monkeypatch, capsys):
    rows = rows_in_order()
    rows[0][3] = rows[11][3] = "patient 1"
    assert run(["split", write(photos, rows), "--check"], monkeypatch) == 1
    assert "groups_across_splits: 1 group is" in capsys.readouterr().out


def test_one_image_out_of_order_is_a_leak_where_the_order_was_meant(photos, monkeypatch):
    rows = rows_in_order()
    rows[3][4] = "2024-03-01"
    finding = found_by_name(linnaea.check_split(write(photos, rows)))["time_across_splits"]
    assert finding.severity == "warning"
    assert [row["path"] for row in finding.rows] == ["03.png"]
    assert run(["split", photos, "--check"], monkeypatch) == 1


def test_an_equal_time_on_both_sides_is_out_of_order_too(photos):
    rows = rows_in_order()
    rows[6][4] = rows[5][4]
    finding = found_by_name(linnaea.check_split(write(photos, rows)))["time_across_splits"]
    assert [row["path"] for row in finding.rows] == ["06.png"]


def test_a_split_that_is_not_in_time_is_told_so_and_leaks_only_if_it_should_be(photos, monkeypatch):
    rows = rows_in_order()
    for row, day in zip(rows, np.random.default_rng(0).permutation(12), strict=True):
        row[4] = f"2024-01-{day + 1:02}"
    finding = found_by_name(linnaea.check_split(write(photos, rows)))["time_across_splits"]
    assert finding.severity == "info"
    assert "split by time" in finding.summary
    assert run(["split", photos, "--check"], monkeypatch) == 0
    assert run(["split", photos, "--check", "--by", "time"], monkeypatch) == 1


def test_images_without_a_time_are_counted(photos):
    rows = rows_in_order()
    rows[2][4] = rows[4][4] = ""
    finding = found_by_name(linnaea.check_split(write(photos, rows)))["time_across_splits"]
    assert finding.summary == "2 images have no time, so their order is unknown."


def test_times_that_cannot_be_read_are_told(photos):
    rows = rows_in_order()
    rows[2][4] = "in spring"
    finding = found_by_name(linnaea.check_split(write(photos, rows)))["time_across_splits"]
    assert finding.severity == "warning"
    assert "'in spring'" in finding.summary


def test_a_class_that_a_split_lacks_is_told(photos):
    rows = rows_in_order()
    for row in rows[9:]:
        row[1] = "a"
    finding = found_by_name(linnaea.check_split(write(photos, rows)))["absent_classes"]
    assert finding.rows == [{"class": "b", "train": 3, "val": 1, "test": 0}]
    assert "0 in train, 0 in val, 1 in test" in finding.summary


def test_a_missing_part_is_told(photos):
    rows = [row for row in rows_in_order() if row[2] != "val"]
    assert found_by_name(linnaea.check_split(write(photos, rows)))["shares"].summary.endswith("; no val.")


def test_the_audit_sees_the_same(photos):
    rows = rows_in_order()
    rows[3][4] = "2024-03-01"
    rows[9][1] = rows[10][1] = rows[11][1] = "a"
    names = {finding.name for finding in linnaea.audit(write(photos, rows))}
    assert {"time_across_splits", "absent_classes"} <= names


def test_folds_are_checked_as_splits_are(photos, monkeypatch, capsys):
    rows = [[row[0], row[1], str(1 + n % 3)] for n, row in enumerate(rows_in_order())]
    write(photos, rows, "path,label,fold_1")
    assert run(["split", photos, "--check"], monkeypatch) == 0
    assert "fold_1: 4 fold 1 (33.3%), 4 fold 2" in capsys.readouterr().out
    write(photos, [*rows, ["copy.jpg", "a", "3"]], "path,label,fold_1")
    assert run(["split", photos, "--check"], monkeypatch) == 1


def test_images_without_splits_are_no_concern_of_these_checks(photos):
    write(photos, [[row[0], row[1], row[4]] for row in rows_in_order()], "path,label,time")
    dataset = linnaea.read(photos)
    inspection = Inspection(dataset, np.arange(len(dataset)))
    assert time_across_splits(inspection) is None
    assert absent_classes(inspection) is None


def test_what_cannot_be_checked_is_refused(photos):
    write(photos, [row[:2] for row in rows_in_order()], "path,label")
    with pytest.raises(UsageError, match="neither splits nor folds"):
        linnaea.check_split(photos)
    write(photos, [row[:3] for row in rows_in_order()], "path,label,split")
    with pytest.raises(DataError, match="no column `time`"):
        linnaea.check_split(photos, split_by="time")
    write(
        photos,
        [[row[0], row[1], row[4], "12"[n % 2]] for n, row in enumerate(rows_in_order())],
        "path,label,time,fold_1",
    )
    with pytest.raises(DataError, match="no column `split`"):
        linnaea.check_split(photos, split_by="time")
    with pytest.raises(UsageError, match="unknown splitter 'date'"):
        linnaea.check_split(photos, split_by="date")


def test_check_goes_alone(photos, monkeypatch, capsys):
    write(photos, rows_in_order())
    assert run(["split", photos, "--check", "--folds", "3"], monkeypatch) == 2
    assert "--check only looks" in capsys.readouterr().err


@pytest.mark.parametrize("by", ["stratified", "iterative", "time"])
def test_the_command_writes_splits_that_hold(photos, monkeypatch, by, capsys):
    write(photos, [[row[0], row[1], row[3], row[4]] for row in rows_in_order()], "path,label,group,time")
    assert run(["split", photos, "--by", by, "--fractions", "0.5,0.25,0.25"], monkeypatch) == 0
    assert "Next: linnaea train" in capsys.readouterr().out
    (photos / "labels.csv").unlink()
    expected = [] if by == "time" else ["--by", "stratified"]
    assert run(["split", photos, "--check", *(expected or ["--by", "time"])], monkeypatch) == 0


def test_the_command_writes_folds(photos, monkeypatch, capsys):
    write(photos, [row[:2] for row in rows_in_order()], "path,label")
    assert run(["split", photos, "--folds", "3", "--repeats", "2", "--json"], monkeypatch) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {name: sum(counts.values()) for name, counts in printed["images"].items()} == {"fold_1": 12, "fold_2": 12}
    header = (photos / "manifest.csv").read_text().splitlines()[0]
    assert header == "path,label,split,group,sha256,fold_1,fold_2,excluded"
    (photos / "labels.csv").unlink()
    assert len(list(linnaea.folds(photos))) == 6
    assert run(["split", photos, "--check"], monkeypatch) == 0
