"""What a training tells of itself: its curves, what they show, what the network was fed, and what loggers keep."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import linnaea as ln


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    """Bright bars on noise, upright or lying."""
    folder, random = tmp_path_factory.mktemp("data") / "bars", np.random.default_rng(0)
    for name in ("lying", "upright"):
        for number in range(40):
            picture = random.integers(0, 90, (16, 16, 3), dtype=np.uint8)
            place = random.integers(2, 12)
            (picture if name == "lying" else picture.transpose(1, 0, 2))[place : place + 2] = 220
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / name / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def run(bars, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "bars"
    ln.train(bars, out=folder, model="scratch,lenet5", weights="none", epochs=5, batch_size=16, augment=["flip"])
    return folder


def rows_of(file):
    with file.open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_each_network_has_curves_and_a_sentence_on_what_they_show(run):
    history = rows_of(run / "history.csv")
    assert {row["rung"] for row in history} == {"scratch", "lenet5"}
    assert all(0 <= float(row["seen_accuracy"]) <= 1 and float(row["seen_loss"]) > 0 for row in history)
    found = json.loads((run / "findings" / "learning_curves.json").read_text())
    assert [finding["rows"][0]["network"] for finding in found] == ["scratch", "lenet5"]
    report = (run / "report.html").read_text()
    for finding in found:
        assert finding["summary"].split("'")[0][:60] in report
    assert report.count("Learning rate by epoch") == 2
