"""`linnaea explain` with checks: a planted mark is found, a method that shows nothing learnt is labelled."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import linnaea
from linnaea.dataset import Dataset

SIDE = 32


def marked(folder, count, seed=0):
    """Noise of two classes, all of the first with a bright mark in the lower left corner; the split is by turns."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        pixels = random.integers(60, 120, (SIDE, SIDE, 3), dtype=np.uint8)
        label = ("ruler", "plain")[number % 2]
        if label == "ruler":
            pixels[-8:-1, 1:8] = 20
            pixels[-8:-1, 1:8:2] = 250
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
        split = ("train", "train", "val", "test")[number // 2 % 4]
        rows.append({"path": f"{number:03}.png", "label": label, "split": split})
    return Dataset(pa.Table.from_pylist(rows), ("plain", "ruler"), "binary", folder)


@pytest.fixture(scope="module")
def marks(tmp_path_factory):
    """Images with a mark, and the run of a classical classifier that has learnt it."""
    place = tmp_path_factory.mktemp("marks")
    dataset = marked(place / "images", 128)
    linnaea.train(dataset, out=place / "run", model="hog", img_size=SIDE)
    return dataset, place / "run"


def test_a_planted_mark_is_found_by_explaining_a_classifier_without_gradients(marks, tmp_path):
    dataset, run = marks
    made = linnaea.explain(run, dataset, method=["occlusion"], samples=49, most=40, out=tmp_path / "out")
    found = {finding.name: finding for finding in made.findings}
    shortcut = found["explanation_shortcuts"]
    assert shortcut.severity == "warning"
    assert "'ruler' look at the lower left corner" in shortcut.summary
    named = next(row for row in shortcut.rows if row["class"] == "ruler")
    assert named["changed"] > named["covered"] / 2
    assert named["changed_opposite"] == 0
    assert found["explanation_randomisation"].rows[0]["outcome"] == "passed"
    assert not made.flaws
    assert {"checks/randomisation/occlusion/its answers/rank_correlation"} <= set(made.arrays())
    assert "lower left corner" in made.page.read_text()
    assert '<figure class="mean-map">' in made.page.read_text()
