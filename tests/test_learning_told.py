"""What a training tells of itself: its curves, what they show, what the network was fed, and what loggers keep."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

import linnaea as ln
from linnaea.experiments.fed_sheet import draw_fed, label_of
from linnaea.learning.examples import Examples
from linnaea.learning.objectives.supervised import Supervised
from linnaea.learning.rungs import Job, Options
from linnaea.learning.schedule import Schedule
from linnaea.learning.supervised import train_network
from linnaea.models.compact import Compact
from linnaea.runtime.plan import Plan
from linnaea.task import TASKS


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


def test_each_network_leaves_a_sheet_of_what_it_was_fed(run):
    for name in ("scratch", "lenet5"):
        with Image.open(run / "fed" / f"{name}.png") as sheet:
            assert sheet.width > 8 * 96
    assert (run / "report.html").read_text().count("What it was fed") == 2


@pytest.mark.parametrize("augmentations", [("flip", "shift"), ("flip", "mixup")])
def test_what_is_shown_is_what_the_network_sees_first(augmentations, monkeypatch):
    shown, seen, pixels, random = [], [], [], np.random.default_rng(0)
    train, val = (Examples(random.integers(0, 256, (n, 16, 16, 3), dtype=np.uint8), np.arange(n) % 2) for n in (48, 16))
    options = Options(epochs=1, batch_size=16, precision="float32", seed=5)
    job = Job(train, val, 2, TASKS["binary"], options, on_fed=lambda *batch: shown.append(batch))
    model, mix = Compact(classes=2, size=16), Supervised.seen
    model.register_forward_pre_hook(lambda module, inputs: pixels.append(inputs[0]) if module.training else None)
    monkeypatch.setattr(Supervised, "seen", lambda self, *batch: seen.append(mix(self, *batch)) or seen[-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    train_network(job, model, optimizer, Schedule(1, 16, 0.01), Plan("cpu"), augmentations=augmentations)
    ((images, targets),) = shown
    assert images.shape == (16, 3, 16, 16)
    assert torch.equal(pixels[0], images.float() / 255)
    assert torch.equal(seen[1][1], targets)
    assert (targets.ndim == 2) == ("mixup" in augmentations)


def test_a_sheet_says_the_shares_of_mixed_labels(tmp_path):
    mixed = torch.tensor([[1.0, 0.0], [0.3, 0.7]])
    sheet = draw_fed(tmp_path, "net", torch.zeros(2, 3, 16, 16, dtype=torch.uint8), mixed, ("ant", "bee"))
    assert sheet == tmp_path / "fed" / "net.png"
    assert label_of(mixed[0], ("ant", "bee")) == "ant"
    assert label_of(mixed[1], ("ant", "bee")) == "70% bee, 30% ant"
    assert label_of(torch.tensor(1), ("ant", "bee")) == "bee"
