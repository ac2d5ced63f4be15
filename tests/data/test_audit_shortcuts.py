"""A class that one property of the file tells from all others is named; classes that share them are not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from linnaea.data.audit import Inspection, audit
from linnaea.data.images.appearance import Looks
from linnaea.data.images.headers import Facts
from linnaea.dataset import Dataset

LABELS = ["rare"] * 60 + ["b", "c"] * 240


def clean(seed=0):
    generator = np.random.default_rng(seed)
    table = pa.table({"path": [f"{number:03}.jpg" for number in range(len(LABELS))], "label": LABELS})
    facts = [
        Facts("JPEG", 640 + 8 * int(wider), 480, "RGB", float(coarse), "Maker X")
        for wider, coarse in generator.integers(0, 20, (len(LABELS), 2))
    ]
    looks = Looks.from_rows(generator.uniform(0.3, 0.9, (len(LABELS), 6)))
    dataset = Dataset(table, ("b", "c", "rare"), "multiclass", Path())
    return Inspection(dataset, np.arange(len(LABELS)), facts, replace(looks, cut_away=np.zeros(len(LABELS))))


def found(inspection):
    return {entry.name: entry for entry in audit(inspection)}.get("class_shortcuts")


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"height": 640}, "shape of the image"),
        ({"mode": "L"}, "colour mode"),
        ({"format": "PNG"}, "file format"),
        ({"camera": "Maker Y"}, "camera"),
    ],
)
def test_a_rare_class_that_differs_alone_is_named_with_what_tells_it(change, name):
    inspection = clean()
    facts = [replace(entry, **change) if row < 54 else entry for row, entry in enumerate(inspection.facts)]
    finding = found(replace(inspection, facts=facts))
    assert finding.severity == "warning"
    assert finding.rows[0]["class"] == "rare"
    assert name in {row["property"] for row in finding.rows}
    assert f"90% of its 60 images and {finding.rows[0]['of_others']:.0%} of all others" in finding.summary
    assert f"'rare', by the {name}" in finding.summary


def test_nothing_is_named_where_classes_share_everything():
    assert [found(clean(seed)) for seed in range(10)] == [None] * 10


def test_brightness_alone_is_told_but_is_no_warning():
    inspection = clean()
    dark = inspection.looks.dark.copy()
    dark[:60] = 0.95
    finding = found(replace(inspection, looks=replace(inspection.looks, dark=dark)))
    assert finding.severity == "info"
    assert "brightness of the brightest part" in finding.summary
    assert "unless that is what the class is about" in finding.summary
