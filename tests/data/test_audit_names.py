"""Names of classes that people would take for one are reported, and stay apart."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from linnaea.data.audit.contract import Inspection
from linnaea.data.audit.names import similar_class_names
from linnaea.dataset import Dataset


def look(labels, task="multiclass"):
    names = sorted({name for label in labels for name in (label if isinstance(label, list) else [label])})
    table = pa.table(
        {"path": [f"{n}.png" for n in range(len(labels))], "label": labels, "split": ["train"] * len(labels)}
    )
    return similar_class_names(Inspection(Dataset(table, tuple(names), task, Path()), np.arange(len(labels))))


@pytest.mark.parametrize("other", ["Cat", "cat ", " cat", "CAT\t", "ｃａｔ"])
def test_names_that_sound_alike(other):
    finding = look(["cat", "cat", other, "dog"])
    assert finding.severity == "warning"
    assert (finding.count, {row["class"]: row["images"] for row in finding.rows}) == (3, {"cat": 2, other: 1})
    assert repr(other) in finding.summary


def test_dashes_accents_and_several_labels():
    finding = look([["living room", "café"], ["living_room"], ["living-room", "cafe\u0301"]], "multilabel")
    assert [row["group"] for row in finding.rows] == [1, 1, 2, 2, 2]
    assert finding.count == 5


def test_names_that_differ():
    assert look(["cat", "cats", "c at", "dog", "1", "11", "c", "c++"]) is None
