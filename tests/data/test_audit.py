"""Each check of the audit speaks when it must and is silent when there is nothing to say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from linnaea.data.audit import CHECKS, Inspection, audit
from linnaea.data.images.headers import Facts
from linnaea.dataset import Dataset, Excluded
from linnaea.finding import Finding


def inspection(labels, splits=None, *, duplicates=None, excluded=(), **columns):
    paths = [f"{number}.png" for number in range(len(labels))]
    table = pa.table(
        {"path": paths, "label": list(labels), "split": list(splits or ["train"] * len(labels)), **columns}
    )
    dataset = Dataset(table, tuple(sorted(set(labels))), "binary", Path(), tuple(excluded))
    return Inspection(dataset, np.arange(len(labels)) if duplicates is None else np.array(duplicates))


def found(inspected):
    return {finding.name: finding for finding in audit(inspected)}


def test_healthy_data_has_no_finding():
    assert audit(inspection("ab" * 30)) == []


def test_files_left_out_are_counted_by_reason():
    excluded = [Excluded("x.png", "file not found", "a"), Excluded(".x", "hidden")]
    finding = found(inspection("ab" * 30, excluded=excluded))["left_out"]
    assert finding.severity == "warning"
    assert finding.count == 2
    assert "1 file not found" in finding.summary
    assert finding.rows[0] == {"path": "x.png", "label": "a", "reason": "file not found"}


def test_classes_without_images_are_named():
    empty = [Excluded(name, "class folder without images", name) for name in ("c", "d")]
    told = found(inspection("ab" * 30, excluded=empty[:1]))["left_out"].summary
    assert told == "The class c has no images."
    told = found(inspection("ab" * 30, excluded=[*empty, Excluded("x.png", "file not found", "a")]))["left_out"].summary
    assert told == ("1 file was left out: 1 file not found. The classes c, d have no images.")


@pytest.mark.parametrize(("side", "doubted"), [(28, True), (64, False)])
def test_small_images_found_twice_may_only_look_alike(side, doubted):
    inspected = inspection("ab" * 30, duplicates=[0, 0, *range(1, 59)])
    facts = [Facts("PNG", side, side, "L", 0.0, "")] * 60
    told = found(replace(inspected, facts=facts))["duplicates"].summary
    assert ("Images of 32 pixels or fewer may only look alike." in told) == doubted


def test_hidden_files_alone_are_no_worry():
    assert found(inspection("ab" * 30, excluded=[Excluded(".DS_Store", "hidden")]))["left_out"].severity == "info"


def test_small_classes_are_named_with_their_counts():
    finding = found(inspection("a" * 40 + "b" * 12, ["train"] * 45 + ["val"] * 7))["small_classes"]
    assert {row["class"]: (row["train"], row["val"]) for row in finding.rows} == {"b": (5, 7)}
    assert "with only 7 to judge a class by" in finding.summary


def test_imbalance_names_the_largest_and_the_smallest():
    assert "imbalance" not in found(inspection("a" * 99 + "b" * 10))
    finding = found(inspection("a" * 100 + "b" * 10))["imbalance"]
    assert "'a' has 100 images, 'b' only 10" in finding.summary


def test_duplicates_are_shown_and_counted():
    finding = found(inspection("aabbab" * 10, duplicates=[0, 0, 0, *range(3, 60)]))["duplicates"]
    assert finding.count == 2
    assert [row["path"] for row in finding.rows] == ["0.png", "1.png", "2.png"]
    assert finding.images == ["0.png", "1.png"]


def test_duplicates_across_splits_and_classes():
    splits = ["train", "test", *["train"] * 58]
    findings = found(inspection("ab" * 30, splits, duplicates=[0, 0, *range(2, 60)]))
    assert findings["duplicates_across_splits"].severity == "warning"
    assert findings["duplicates_across_classes"].count == 1
    same = found(inspection("ab" * 30, duplicates=[0, 1, 0, *range(3, 60)]))
    assert {"duplicates_across_splits", "duplicates_across_classes"}.isdisjoint(same)


def test_groups_across_splits():
    groups = ["p", "p", *[None] * 58]
    findings = found(inspection("ab" * 30, ["train", "test", *["train"] * 58], group=groups))
    assert findings["groups_across_splits"].rows == [{"group": "p", "splits": "test, train"}]
    assert "groups_across_splits" not in found(inspection("ab" * 30, group=groups))


@pytest.mark.parametrize("name", ["left_out", "small_classes", "imbalance", "duplicates", "groups_across_splits"])
def test_every_check_is_registered_under_the_name_of_its_finding(name):
    audit(inspection("ab" * 30))
    assert name in CHECKS


def test_findings_go_to_json_and_back():
    for finding in audit(inspection("a" * 100 + "b", duplicates=[0, 0, *range(2, 101)])):
        assert Finding.from_json(finding.to_json()).to_json() == finding.to_json()
