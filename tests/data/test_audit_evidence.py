"""Checks that look at images, features and probabilities: they see what was planted, and nothing in clean data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from linnaea.data.audit import Inspection, audit
from linnaea.data.audit.labels import neighbour_distance
from linnaea.data.images.appearance import Looks
from linnaea.data.images.headers import Facts
from linnaea.dataset import Dataset
from linnaea.statistics.shares import limits_of_share

COUNT = 200
generator = np.random.default_rng(0)


def clean(labels="ab" * (COUNT // 2)):
    table = pa.table({"path": [f"{number:03}.png" for number in range(len(labels))], "label": list(labels)})
    dataset = Dataset(table, tuple(sorted(set(labels))), "binary", Path())
    facts = [Facts("JPEG", 640 + 8 * int(extra), 480, "RGB", 3.5, "Maker X")
             for extra in generator.integers(0, 20, len(labels))]  # fmt: skip
    looks = Looks.from_rows(generator.uniform(0.2, 0.3, (len(labels), 6)).astype(np.float32))
    looks = replace(looks, dark=looks.dark + 0.5, sharpness=looks.sharpness + 0.2)
    return Inspection(dataset, np.arange(len(labels)), facts, looks)


def found(inspection):
    return {finding.name: finding for finding in audit(inspection)}


def test_intervals_are_those_of_scipy():
    for count, images in ((0, 9), (4, 9), (9, 9), (137, 200)):
        expected = binomtest(count, images).proportion_ci(method="wilson")
        assert limits_of_share(count, images) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert limits_of_share(0, 0) == (0, 1)


def test_clean_pictures_have_no_finding():
    assert found(clean()) == {}


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("dark", "dark", 0.02),
        ("bright", "bright", 0.99),
        ("without_content", "spread", 0.001),
        ("blurred", "sharpness", 0.001),
        ("cut_by_crop", "cut_away", 0.6),
    ],
)
def test_a_planted_picture_is_found_by_its_looks(name, column, value):
    inspection = clean()
    values = getattr(inspection.looks, column).copy()
    values[7] = value
    findings = found(replace(inspection, looks=replace(inspection.looks, **{column: values})))
    assert list(findings) == [name]
    assert [row["path"] for row in findings[name].rows] == ["007.png"]


def test_cutting_matters_only_where_pictures_are_cropped():
    inspection = clean()
    looks = replace(inspection.looks, cut_away=np.full(COUNT, 0.9, dtype=np.float32))
    assert "cut_by_crop" in found(replace(inspection, looks=looks))
    assert "cut_by_crop" not in found(replace(inspection, looks=looks, fit="pad"))


@pytest.mark.parametrize(("name", "size"), [("tiny", (64, 48)), ("odd_shape", (4000, 500))])
def test_a_planted_file_is_found_by_its_size(name, size):
    inspection = clean()
    facts = list(inspection.facts)
    facts[3] = replace(facts[3], width=size[0], height=size[1])
    findings = found(replace(inspection, facts=facts))
    assert list(findings) == [name]
    assert findings[name].rows[0]["path"] == "003.png"


@pytest.mark.parametrize("change", [{"format": "PNG"}, {"camera": "Maker Y"}, {"mode": "L"}, {"coarseness": 9.25}])
def test_what_gives_the_class_away_is_named(change):
    inspection = clean()
    labels = inspection.dataset.labels
    facts = [
        replace(entry, **change) if label == "b" and number % 9 else entry
        for number, (entry, label) in enumerate(zip(inspection.facts, labels, strict=True))
    ]
    finding = found(replace(inspection, facts=facts))["shortcuts"]
    assert 0.85 < finding.figure.value <= 1
    assert finding.figure.lo < finding.figure.value <= finding.figure.hi
    (name,) = change
    expected = {"format": "file format", "camera": "camera", "mode": "colour mode", "coarseness": "JPEG quality"}[name]
    assert finding.rows[0]["property"] == expected


def test_outliers_are_far_from_everything():
    features = np.repeat(np.eye(8, dtype=np.float32)[:4], COUNT // 4, axis=0)  # four kinds of images
    features += np.random.default_rng(0).normal(size=features.shape).astype(np.float32) * 0.05
    features[13] = -3 * np.eye(8)[5]
    finding = found(replace(clean(), features=features)).get("outliers")
    assert finding is not None
    assert finding.rows[0]["path"] == "013.png"


def test_distance_to_neighbours_is_that_of_scikit_learn():
    from sklearn.neighbors import NearestNeighbors

    features = generator.normal(size=(300, 6)).astype(np.float32)
    standard = (features - features.mean(axis=0)) / features.std(axis=0)
    standard /= np.linalg.norm(standard, axis=1, keepdims=True)
    distance, _ = NearestNeighbors(n_neighbors=6).fit(standard).kneighbors(standard)
    assert neighbour_distance(features) == pytest.approx(distance[:, 1:].mean(axis=1), abs=1e-3)


def test_sequences_are_noticed_and_chance_is_not():
    walk = np.cumsum(generator.normal(size=(COUNT, 30)), axis=0).astype(np.float32)
    inspection = clean("a" * (COUNT // 2) + "b" * (COUNT // 2))
    assert found(replace(inspection, features=walk))["sequences"].figure.value < 0.8
    assert "sequences" not in found(replace(inspection, features=generator.permutation(walk)))
    grouped = replace(inspection, features=walk, duplicates=np.arange(COUNT) // 50)
    assert "sequences" not in found(grouped)


def test_one_class_is_reported():
    assert found(clean("a" * COUNT))["one_class"].severity == "error"
