"""Classes that no image judges, and the groups that keep them out of val and test."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from linnaea.data.audit import CHECKS, Inspection, audit
from linnaea.data.splits import split
from linnaea.dataset import Dataset


def birds(groups_of, splits=None, each=6):
    """Six images of each class, by turns of the groups named; a group of None is an image by itself."""
    rows = [(name, groups[number % len(groups)]) for name, groups in groups_of.items() for number in range(each)]
    columns = {
        "path": [f"{number:03}.jpg" for number in range(len(rows))],
        "label": [name for name, _ in rows],
        "group": pa.array([group for _, group in rows], pa.string()),
    }
    if splits is not None:
        columns["split"] = splits
    return Dataset(pa.table(columns), tuple(groups_of), "multiclass", Path("birds"))


def told(dataset, duplicates=None):
    audit(Inspection(dataset, np.arange(len(dataset))))  # members register themselves
    return CHECKS["unjudged_classes"](
        Inspection(dataset, np.arange(len(dataset)) if duplicates is None else duplicates)
    )


def test_a_class_of_one_group_is_named_with_it_once_splits_are_made():
    data = birds({"crane": [None], "heron": ["pond-3"], "ibis": [None]}, each=20)
    apart = np.arange(60)
    apart[20:40] = 20
    finding = told(split(data, apart, seed=0))
    assert finding.severity == "warning"
    assert finding.summary == (
        "1 class cannot be judged in every split: heron (20 images, all of the group pond-3, none in val and test). "
        "Images that belong together are never torn apart by splits: add images of other groups."
    )
    (row,) = finding.rows
    assert (row["class"], row["missing in"], row["groups"]) == ("heron", ["val", "test"], ["pond-3"])


def test_it_is_said_before_there_are_splits():
    finding = told(birds({"crane": [None], "heron": ["pond-3"], "ibis": ["north", "south"]}))
    assert [row["class"] for row in finding.rows] == ["heron", "ibis"]
    assert "heron (6 images, all of the group pond-3); ibis (6 images of the groups north, south)" in finding.summary


def test_copies_of_one_picture_are_one_group_too():
    data = birds({"crane": [None], "heron": [None]})
    finding = told(data, np.array([0, 1, 2, 3, 4, 5, *[6] * 6]))
    assert "heron (6 images, all of one group of duplicates)" in finding.summary


def test_a_given_split_without_a_class_is_named():
    given = ["train", "train", "train", "val", "val", "test", *["train"] * 4, "val", "val"]
    finding = told(birds({"crane": [None], "heron": [None]}, given))
    assert finding.summary == "1 class cannot be judged in every split: heron (6 images, none in test)."


@pytest.mark.parametrize("splits", [None, ["train", "train", "val", "val", "test", "test"] * 2])
def test_nothing_is_said_where_every_class_can_be_judged(splits):
    assert told(birds({"crane": ["a", "b", "c"], "heron": [None]}, splits)) is None


def test_a_split_that_there_is_none_of_is_missing_from_no_class():
    assert told(birds({"crane": [None], "heron": [None]}, ["train", "val"] * 6)) is None
